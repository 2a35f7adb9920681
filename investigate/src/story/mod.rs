//! Events and alerts as a story: "here is what happened, give me its lines in one order". It owns what one event says in a line and
//! which of them are alike; it never reads a store.

mod entry;
mod lines;

pub use entry::{Entry, FIELDS};
pub use lines::{Group, Line, MAX_OBJECTS, Raised, story_lines};
