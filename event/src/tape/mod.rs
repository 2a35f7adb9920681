//! Here is a JSON text, give me its values without a tree: parsed once into a flat list of nodes that point into it. Native fields are read from without a tree.
//!
//! A place is twelve bytes in one block of memory, and a text without escapes is not copied. The parser takes a part of what
//! RFC 8259 allows and leaves the rest to the slower one: what it accepts it must read as `serde_json` does, and what it
//! refuses says nothing about the text.

mod escape;
mod nodes;
mod parse;
mod recover;
#[cfg(test)]
mod tests;

pub use nodes::Tape;
pub(crate) use nodes::{Cursor, Kind};
pub use recover::Recovered;
