//! The correlation engine: signals and watermarks in, alerts out, in event time.
//!
//! ```text
//! Signal ─▶ engine ─▶ group (one rule, one group key: events by time) ─▶ window (what the events say) ─▶ Alert
//! Watermark ─▶ engine: closes windows that can no longer change
//! ```
//!
//! `docs/correlation-semantics.md` is the definition, and `reference.rs` is it as code: sort all events, scan. The engine
//! must agree with it for every order of arrival.

mod alert;
mod attribution;
mod closing;
mod codec;
mod cold;
mod dependents;
mod engine;
mod events;
mod front;
mod group;
mod keep;
mod learned;
mod memory;
mod past;
mod pending;
mod plan;
mod positions;
mod ranks;
#[cfg(test)]
mod reference;
mod repair;
mod snapshot;
mod stats;
mod told;
mod window;

#[cfg(test)]
mod tests;

pub use cold::{Change, ColdError, ColdStore, Found};
pub use engine::{CorrelationConfig, CorrelationEngine};
pub use keep::{RepairRequest, RepairStats};
pub use pending::{Asked, PendingGroup};
pub use repair::{Repair, Repaired};
pub use snapshot::{Restoring, SnapshotError, SnapshotParts};
pub use stats::CorrelationStats;
