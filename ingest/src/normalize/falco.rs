//! Falco alerts.

use casebook_event::Value;

use super::{Context, Normalized};
use crate::decode::reject::{self, Reject};

/// The mark by which an object is known as this source's.
pub(crate) fn recognize(_value: &Value) -> Option<&'static str> {
    None
}

/// Falco alerts.
pub(crate) fn normalize(native: Value, _context: &Context<'_>) -> Result<Normalized, Reject> {
    let _ = native;
    Err(Reject::new(reject::WRONG_SHAPE, "not decoded yet"))
}
