//! Here is what a stage has read and committed: give me how far each partition is, and whether one stands still.
//!
//! Pure: time comes in with every call.

pub(crate) mod committed;
pub(crate) mod stalls;
pub(crate) mod standing;
