//! Here is an id: what is the rule of that id, and what does its match lead to?
//!
//! Owns the rules of one set, resolved and compiled. A set never changes; it neither reads files (`load`) nor resolves
//! references (`linker`).

mod compiled;
mod info;
mod set;

pub(crate) use compiled::{CorrelationRule, DetectionRule, Feed, FieldPath, Output, Shard, ValueExpr};
pub use info::{RuleInfo, RuleKind};
pub use set::RuleSet;
