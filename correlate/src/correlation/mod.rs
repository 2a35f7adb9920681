//! Here are signals, bindings and watermarks, in any order: which alerts do they come to, in event time?
//!
//! ```text
//! Signal ─▶ CorrelationEngine ─▶ Evaluator ─▶ GroupTable ─▶ Group ─ Window, Report ─▶ Alert
//! Binding ─▶ AttributionQueue: signals that group by an entity wait here until the watermark has passed them
//! Watermark ─▶ Evaluator: closes the groups that are due; their final alerts feed the correlations above
//! late Signal, Binding ─▶ RepairLog ─ RepairRequest ─▶ Repair: an Evaluator over what was kept
//! CorrelationEngine ─ SnapshotParts ─▶ bytes ─ Restoring ─▶ CorrelationEngine
//! ```
//!
//! `docs/correlation-semantics.md` is the definition, and `reference.rs` is it as code: sort all events, scan. The engine
//! must agree with it for every order of arrival. It has no clock and no tables: what is kept for repairs is handed out.

mod alert;
mod attribution;
mod codec;
mod detections;
mod engine;
mod evaluator;
mod group;
mod group_table;
mod late;
mod pending;
mod plan;
mod positions;
#[cfg(test)]
mod reference;
mod repair;
mod snapshot;
mod stats;
#[cfg(test)]
mod tests;

pub use engine::{CorrelationConfig, CorrelationEngine};
pub use group_table::{Change, ColdError, ColdStore, Found};
pub use late::{RepairRequest, RepairStats};
pub use pending::{PendingGroup, Requirement};
pub use repair::{Repair, Repaired};
pub use snapshot::{Restoring, SnapshotError, SnapshotParts};
pub use stats::CorrelationStats;
