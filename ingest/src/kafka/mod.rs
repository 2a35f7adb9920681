//! Here is a consumer group, give me its records: in order, with every assignment and revocation where it took effect.
//!
//! ```text
//! librdkafka ─BorrowedMessage─▶ message ─RawRecord─┐
//!     │ callbacks                                  ├─ Consumer (one thread) ─ConsumerEvent─▶ one channel
//!     └──────────▶ RebalanceContext ─ConsumerEvent─┘         ▲ seek, commit
//! OffsetSource (the table) ─StartOffset─▶ RebalanceContext   │
//! ```
//!
//! It owns the client, its properties and its token. It never decodes a record, never decides that one is done, and never reads the
//! group's own committed offsets.

mod config;
mod consumer;
mod event;
mod message;
mod rebalance;
mod token;

pub use config::{ConsumerConfig, RESERVED_PROPERTIES};
pub use consumer::Consumer;
pub use event::{ConsumerError, ConsumerEvent, EndOffset, OffsetSource};
pub use token::{TokenContext, TokenFile};
