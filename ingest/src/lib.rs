//! Kafka (and files) to [`EventBatch`](casebook_event::EventBatch): consume, decode, normalize.

mod config;
mod consumer;
mod rebalance;

pub use config::{ConsumerConfig, RESERVED_PROPERTIES};
pub use consumer::{Consumer, ConsumerError, ConsumerEvent, OffsetSource};
