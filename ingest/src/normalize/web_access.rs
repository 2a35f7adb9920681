//! Access and error logs of web servers.

use super::{Context, Normalized};
use crate::decode::reject::{self, Reject};

/// The mark by which a line is known as this source's.
pub(crate) fn recognize(_line: &str) -> Option<&'static str> {
    None
}

/// Access and error logs of web servers.
pub(crate) fn normalize(_line: &str, _context: &Context<'_>) -> Result<Normalized, Reject> {
    Err(Reject::new(reject::WRONG_SHAPE, "not decoded yet"))
}
