//! Here are the events of one group: which windows meet the condition, and what is to be emitted of them?
//!
//! ```text
//! Entry ─Group::insert─▶ Events ─first_window, decided─▶ Window ─EmittedWindows─▶ Report (provisional, withdrawn)
//! watermark ─Group::close─▶ Report (final), Baseline
//! ```
//!
//! Owns one group: its events, what was emitted of them, and the baseline of those that are decided. It knows no other group, no
//! disk, and no alert: a report names a window.

mod accumulator;
mod alert_id;
mod baseline;
mod closing;
mod emitted;
mod entry;
mod event_index;
mod events;
mod key;
mod ranks;
mod report;
mod revisions;
mod state;
mod window;

pub(super) use alert_id::{alert_id, alert_number, id_text};
pub(super) use entry::{Entry, EvidenceSubset};
pub(super) use events::Events;
pub(super) use key::{GroupKey, Weight};
pub(super) use report::Report;
pub(super) use revisions::{Decided, Revisions};
pub(super) use state::Group;
pub(super) use window::Window;
