//! Here are detections as they were written: how are all of them answered together, with no question asked twice?
//!
//! ```text
//! Detection ─expression─▶ Expression over Atom ids ─prefilter, source_plan─▶ per Source: FieldScan automata, candidate rules
//! ```
//!
//! An atom is one question about one field. Equal questions of different rules are one atom, which is answered at most
//! once an event. Most are literals, and all literals of a field are answered by one pass over its value.
//!
//! Owns the automata and the indexes. It reads no YAML and never sees an event.

mod atom;
mod expression;
mod field_scan;
mod glob;
mod path_index;
mod plan;
mod prefilter;
mod source_plan;

pub(crate) use atom::{AtomId, Atoms, Check, FieldIndex};
pub(crate) use expression::Expression;
pub(crate) use plan::Plan;
pub(crate) use source_plan::SourcePlan;
