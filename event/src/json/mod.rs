//! Here is a text that should be JSON, give me where its values begin and end: scanned, not parsed.
//!
//! ```text
//! &[u8] ─Scanner─▶ Token ─┬─ value_end ─▶ where a value ends       (members of a batch, decoded one by one)
//!                         ├─ Members ───▶ &str, one a member
//!                         ├─ a grammar on top                      (values of a file that span lines and chunks)
//!                         └─ a stack of frames on top              (secrets that only the structure shows)
//! ```
//!
//! It owns what a string, a bracket and a scalar are, also of JSON that stands in strings of JSON. It never allocates, never
//! resolves an escape, and never says that a text is valid: that is the parser's ([`Tape`](crate::Tape)) or the caller's.

mod members;
mod quotes;
mod scanner;
mod special;

pub use members::{Members, value_end};
pub use quotes::{LEVELS, quote, string_end};
pub use scanner::{Scanner, Token};
pub(crate) use special::special;

#[cfg(test)]
pub(crate) mod tests;
