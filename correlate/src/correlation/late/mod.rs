//! Here is something that came after the watermark: which key is to be repaired for it, and what must have been kept for that?
//!
//! ```text
//! Signal, Binding ─RepairLog─▶ Kept (to the tables), LateKey ─next_request─▶ RepairRequest ─▶ `repair`
//! ```
//!
//! Owns what waits for its repair and what is to be kept. It has no tables, and repairs nothing itself.

mod dependents;
mod journal;
mod late_key;
mod needs;
mod repair_log;
mod replay_log;

pub(super) use dependents::{Dependents, number_of};
pub(super) use journal::Journal;
pub(super) use late_key::LateKey;
pub use late_key::RepairRequest;
pub(super) use needs::family;
pub(super) use repair_log::RepairLog;
pub use repair_log::RepairStats;
pub(super) use replay_log::ReplayLog;
