//! Kafka (and files) to [`EventBatch`](casebook_event::EventBatch): consume, decode, normalize.
//!
//! ```text
//! Kafka ─ Consumer ─┐
//!                   ├─ RawRecord ─▶ Decoder ─▶ EventBatch { Event, DeadLetter }
//! files ─ FileRecords ┘              decode/ (formats) + normalize/ (one source a file)
//! ```

mod config;
mod consumer;
mod decode;
mod files;
mod limits;
mod normalize;
mod rebalance;

pub use config::{ConsumerConfig, RESERVED_PROPERTIES};
pub use consumer::{Consumer, ConsumerError, ConsumerEvent, OffsetSource};
pub use decode::{Decoder, Reject, SourceKind, detect_source};
pub use files::FileRecords;
pub use limits::{MAX_EVENTS_PER_RECORD, MAX_JSON_DEPTH, MAX_RECORD_BYTES};
