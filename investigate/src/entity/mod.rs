//! Names and what they stand for: "here is a text, give me the entity that is meant, all its names in their times, and the events
//! that concern it". It owns the forms of names and the bindings that events report; it never decides what a story looks like.
//!
//! ```text
//! text ─parse─▶ Interpretation ─identify─▶ EntityName ─subject─▶ Subject { query, bindings }
//!                                                        └ observe: events ─BindingSample, bindings_of─▶ ObservedBindings
//! ```

mod bindings;
mod clusters;
mod identify;
mod learn;
mod name;
mod query;
mod sampling;
mod subject;
mod subjects;

pub use bindings::{ObservedBinding, ObservedBindings, Span};
pub use clusters::Clusters;
pub use identify::{Identified, identify};
pub use name::{EntityName, Interpretation, Kind, parse};
pub use query::name_in_texts;
pub use subject::{Subject, subject};
