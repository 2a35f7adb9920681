//! Here is a rule that parsed: what does it lack, and what in it can have no effect?

mod breadth;
mod correlation;
mod fields;
mod rule;

pub(crate) use rule::{lint, lint_filter};
