//! Composition: the stages in one process, the order in which they commit, and how they stop.
//!
//! ```text
//! Consumer ─ConsumerEvent─▶ detect_stage ─Detected─▶ commit_stage ─EventsCommit─▶ events, dead_letters
//!  (logs)                    decode, match            signals first    │
//!                                                        ▼             └─ offsets to the group, for lag tools
//!                                               topic casebook.signals
//!                                                        │
//! Consumer ─ConsumerEvent─▶ correlate_stage ─AlertsCommit─▶ alerts + state ─▶ topic casebook.alerts
//! (signals)
//! ```
//!
//! Every channel is bounded, and nothing but an acknowledged commit moves back.

mod alert_topic;
mod backtest;
mod broker_watch;
mod clock;
mod cold_store;
mod commit_stage;
mod commit_task;
mod config;
mod correlate_stage;
mod correlate_state;
mod correlation_state;
mod detect_stage;
mod doctor;
mod doctor_peers;
mod duration;
mod error;
#[cfg(test)]
mod flood;
mod health;
mod kafka_config;
mod kept_retention;
mod letter_topic;
mod progress;
mod repair;
mod replay;
mod role;
mod rule_files;
mod rule_reload;
mod rule_test;
mod run;
mod signal_topic;
mod staged;
mod stall;
mod standing;
mod telemetry;
mod topic_checks;
mod topic_writer;
#[cfg(test)]
mod topic_writer_law;
mod topics;
mod watermark;

/// That of the binary: how much memory is held depends on it.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use backtest::{Backtest, BacktestCounts, BacktestReport, Identity, Revived, revive};
pub use casebook_ingest::read_text_file;
pub use clock::now;
pub use config::{
    CommitConfig, Config, ConfigError, DEFAULT_SHUTDOWN_DEADLINE, DEFAULT_STALL_AFTER, LatenessConfig, StateConfig,
};
pub use correlation_state::{StateOfPartition, pending_groups, worker_groups};
pub use doctor::{Finding, Verdict, examine};
pub use duration::{ConfigDuration, parse_duration};
pub use error::PipelineError;
pub use kafka_config::{KafkaConfig, Property, SourceKindConfig, TopicConfig};
pub use progress::{Progress, Snapshot};
pub use replay::{Replay, ReplayCounts, open_records};
pub use role::Role;
pub use rule_files::{load_rules, read_rule_files};
pub use rule_reload::RuleReload;
pub use rule_test::{TestFailure, TestOutcome, TestedEvent, run_rule_tests};
pub use run::Pipeline;
pub use telemetry::Metrics;
pub use watermark::MAX_CLOCK_SKEW;
