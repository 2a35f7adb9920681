//! Composition: the stages in one process, the order in which they commit, and how they stop.
//!
//! ```text
//! Consumer ─ConsumerEvent─▶ detect ─Detected─▶ commit ─EventsCommit─▶ events, dead_letters
//!  (logs)                   decode, match       signals first  │
//!                                                  ▼           └─ offsets to the group, for lag tools
//!                                        topic casebook.signals
//!                                                  │
//! Consumer ─ConsumerEvent─▶ correlate ─AlertsCommit─▶ alerts + state ─▶ topic casebook.alerts
//! (signals)
//! ```
//!
//! `worker` starts these stages. Apart from them, `offline` runs the same decoders, detector and engine without Kafka, and `doctor`
//! examines a deployment before it runs; neither is known to a stage.
//!
//! Every channel is bounded, and nothing but an acknowledged commit moves back.

mod clock;
mod commit;
mod config;
mod correlate;
mod detect;
mod doctor;
mod error;
mod health;
mod offline;
mod ports;
mod progress;
mod rules;
#[cfg(test)]
mod simulation;
mod telemetry;
mod topic;
mod worker;

/// That of the binary: how much memory is held depends on it.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use casebook_ingest::read_text_file;
pub use clock::now;
pub use config::deployment::{
    CommitConfig, Config, ConfigError, DEFAULT_SHUTDOWN_DEADLINE, DEFAULT_STALL_AFTER, LatenessConfig, StateConfig,
};
pub use config::duration::{ConfigDuration, parse_duration};
pub use config::kafka::{KafkaConfig, Property, SourceKindConfig, TopicConfig};
pub use config::role::Role;
pub use detect::watermark::MAX_CLOCK_SKEW;
pub use doctor::examination::examine;
pub use doctor::finding::{Finding, Verdict};
pub use error::PipelineError;
pub use offline::backtest::{Backtest, BacktestCounts, BacktestReport, Identity, Revived, revive};
pub use offline::pending::{PendingGroups, PendingQuery, StateOfPartition, pending_groups, worker_groups};
pub use offline::rebuild::KeptOfEvents;
pub use offline::replay::{Replay, ReplayCounts, open_records};
pub use offline::rule_test::{TestFailure, TestOutcome, TestedEvent, run_rule_tests};
pub use progress::committed::{Progress, Snapshot};
pub use rules::files::{load_rules, read_rule_files};
pub use rules::reload::RuleReload;
pub use telemetry::metrics::Metrics;
pub use worker::Pipeline;
