//! Here is a YAML document: which rule does it say, and where is it wrong?
//!
//! ```text
//! text ─yaml─▶ Node ─rule─▶ Rule { Head, Body::Detection(Logsource, Detection) | Body::Correlation(Correlation) }
//! ```
//!
//! Specification: Sigma 2.1 (rules, modifiers, correlations). Owns the syntax tree, which knows where each part was written. It
//! knows no other rule and no event.

mod backtracking;
pub(crate) mod condition;
pub(crate) mod correlation;
pub(crate) mod date;
pub(crate) mod detection;
mod encoding;
pub(crate) mod extension;
pub(crate) mod filter;
pub(crate) mod head;
mod item_value;
pub(crate) mod lint;
pub(crate) mod logsource;
pub(crate) mod mapping;
pub(crate) mod modifier;
pub(crate) mod pattern;
pub(crate) mod placeholder;
pub(crate) mod rule;
pub(crate) mod value;
pub(crate) mod version;
pub(crate) mod yaml;
