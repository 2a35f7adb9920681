//! Here are signals: give me alerts and the state that led to them, in one commit with the signals' offsets.
//!
//! ```text
//! ConsumerEvent ─▶ stage ─▶ partition: one engine each, its state in the store ─▶ gathering ─▶ AlertsCommit
//!                    ├▶ repair: what is kept of late events' groups ─▶ revisions   └▶ topic of the alerts
//!                    └▶ retention: what no repair needs any more
//! ```

pub(crate) mod cold_store;
mod gathering;
mod late_warnings;
pub(crate) mod partition;
pub(crate) mod repair;
pub(crate) mod retention;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
