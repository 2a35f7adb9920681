//! The Linux audit daemon: the records of one event, joined by their serial.

use super::{Context, Normalized};
use crate::decode::reject::{self, Reject};

/// The records of one audit event, in the order in which they were read.
pub(crate) fn normalize(_records: &[&str], _context: &Context<'_>) -> Result<Normalized, Reject> {
    Err(Reject::new(reject::WRONG_SHAPE, "not decoded yet"))
}
