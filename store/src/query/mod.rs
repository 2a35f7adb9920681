//! The query language: parse, meaning, and the search itself (`docs/query-language.md`).
//!
//! ```text
//! text ─parser─▶ Query ─┬─ candidates ─index─▶ rows that may match ─┐
//!                       └─ matches(Query, row): the meaning ────────┴─▶ search ─▶ SearchAnswer
//! ```

mod ast;
mod candidates;
mod field;
mod file_matches;
mod follow;
mod groups;
mod hits;
mod lexer;
mod matches;
mod native;
mod parser;
mod plan;
mod range;
mod row;
mod row_set;
mod search;
mod tally;
mod wildcard;

pub(crate) use ast::Column;
pub use field::{ALIASES, FieldAlias};
pub use follow::Follow;
pub(crate) use native::{parse as parse_native, visit as native_values};
pub(crate) use row_set::RowSet;
pub use search::{FilesRead, SearchAnswer, SearchRequest, UnreadableFile};
pub use tally::{Tally, TallyBy, TallyRow};

use casebook_event::Event;

use crate::QueryError;

/// Whether `text` is a query, without running it.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_query(text: &str) -> Result<(), QueryError> {
    parser::parse(text).map(|_| ())
}

/// The rows of a file that its index names for a query.
///
/// # Errors
/// The text is no query, or the index is broken.
pub(crate) fn candidate_rows(text: &str, index: &crate::index::IndexReader) -> Result<RowSet, String> {
    let query = parser::parse(text).map_err(|error| error.to_string())?;
    let found = candidates::candidates(&query, index).map_err(|error| error.to_string())?;
    Ok(found.rows)
}

/// Whether an event matches a query: the meaning of the language, one event at a time, without an index.
///
/// # Errors
/// The query is not understood.
pub fn query_matches(text: &str, event: &Event) -> Result<bool, QueryError> {
    let query = parser::parse(text)?;
    Ok(matches::matches(&query, &row::Row::new(event)))
}
