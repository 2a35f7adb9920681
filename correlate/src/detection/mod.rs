//! Here is an event: which rules match it, and which signals come of that?
//!
//! ```text
//! Event ─prefilter literals─▶ candidate rules ─Expression over memoized atoms─▶ matches ─▶ Signal
//! ```
//!
//! Owns the notes about the event under way. It compiles nothing (that is `compile`), and keeps nothing of an event but which
//! bindings were emitted lately.

mod answer;
mod detector;
mod field_pairs;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod reference;
mod scratch;
mod signals;
#[cfg(test)]
mod tests;

pub(crate) use answer::{answer, is_decisive};
pub use detector::Detector;
