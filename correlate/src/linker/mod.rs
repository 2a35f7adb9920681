//! Here are rules that parsed, one by one: which set do they make together?
//!
//! ```text
//! Rule ─unique, map─▶ Named { id, Rule } ─narrow, resolve, Chains─▶ filters, members ─lint, Builder─▶ RuleSet
//! ```
//!
//! Owns ids, references, and which correlation feeds which. It reads no YAML, and applies no rule to anything.

mod builder;
mod chains;
mod filters;
mod link;
mod named;
mod references;
mod renaming;

pub(crate) use link::link;
