//! Here are records: give me their events, what the rules match in them, and how far event time has come.
//!
//! ```text
//! ConsumerEvent ─▶ stage: decode, normalize, match ─▶ Detected
//!                    └▶ watermark: event time of each partition
//! ```

pub(crate) mod stage;
pub(crate) mod watermark;
