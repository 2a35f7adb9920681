//! Here are alerts with the signals offsets and the correlation state, commit them as one; here is a filter or an id, give me the
//! alerts as they are now.
//!
//! Owns the table `alerts`: every revision of every alert, and the files of correlation state that its log names. Never expires.
//!
//! ```text
//! AlertsCommit ─encode─▶ data files, state parts ─commit─▶ one log entry       latest ─▶ read: list, by id, by prefix
//! ```

mod commit;
mod encode;
mod filter;
mod latest;
mod read;
mod state;

pub use commit::AlertsCommit;
pub(crate) use commit::commit_alerts;
pub use filter::AlertFilter;
pub(crate) use read::{alert, alerts, alerts_by_id};
pub use state::StatePart;
pub(crate) use state::{FOLDER as STATE_FOLDER, Reference, correlation_state, read_state_part, write_state_part};
