//! Investigation: questions over a store, each a function that returns an [`Answer`](answer::Answer).
//!
//! ```text
//! text ─entity─▶ Subject { query, bindings } ──▶ timeline ─▶ Answer<Timeline>
//!                     ▲                      └─▶ profile  ─▶ Answer<Profile>
//!                     │ clauses, pages of events
//!                  Archive ◀── store           alerts, search ─▶ Answer<AlertList>, Answer<FoundEvents>, …
//! ```
//!
//! | room | question |
//! |---|---|
//! | [`entity`] | here is a text: which entity is it, under which names, and which events concern it? |
//! | [`timeline`] | here is an entity: what happened to and by it? |
//! | [`profile`] | here is an entity: what is it, and what is beside it? |
//! | [`alerts`] | which alerts are there, and what do they cite? |
//! | [`search`] | here is a query: which events match, and how many? |
//! | [`coverage`] | what could an answer have found, and what does it lack? |
//! | [`answer`] | how certain is a statement? |
//! | [`story`] | here are events and alerts: which lines do they make? |
//! | [`archive`], [`query`] | here are clauses: which events of the store are meant? |
//!
//! Answers are values that serialize. Nothing is printed here, the clock is not read (`now` is passed in), and nothing is known of a
//! command line.

pub mod alerts;
pub mod answer;
pub mod archive;
pub mod coverage;
pub mod entity;
pub mod limits;
mod neighbors;
pub mod profile;
pub mod query;
pub mod search;
pub mod story;
#[cfg(test)]
mod testing;
pub mod timeline;

pub use neighbors::Neighbor;
