//! Lines of kubelet and container runtime.

use super::{Context, Normalized};
use crate::decode::reject::{self, Reject};

/// The mark by which a line is known as this source's.
pub(crate) fn recognize(_line: &str) -> Option<&'static str> {
    None
}

/// Lines of kubelet and container runtime.
pub(crate) fn normalize(_line: &str, _context: &Context<'_>) -> Result<Normalized, Reject> {
    Err(Reject::new(reject::WRONG_SHAPE, "not decoded yet"))
}
