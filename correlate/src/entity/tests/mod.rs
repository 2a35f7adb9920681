//! Laws and worked examples of entity resolution, and the events that they are made of.

mod examples;
mod laws;
mod name_examples;
pub(crate) mod samples;
