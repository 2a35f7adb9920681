//! Here is a query, give me the events that match it, or how many they are by time and by value.
//!
//! Owns the query language (`docs/query-language.md`): its parser, its meaning on one event, the candidates that an index names for
//! it, and the search and the tally on top. Never writes anything.
//!
//! ```text
//! text ─parser─▶ Query ─┬─ candidates ─index─▶ candidates and exact rows ─┐
//!                       └─ matches(Query, row): the meaning ──recheck─────┴─▶ scan_file ─▶ search, tally, rows, follow
//! ```

mod answer;
mod ast;
mod candidates;
mod each_file;
mod field;
mod follow;
mod hits;
mod lexer;
mod matches;
mod native;
mod parser;
mod phrase;
mod plan;
mod range;
mod row;
mod rows;
mod scan_file;
mod search;
mod tally;
mod wildcard;

pub use answer::{FilesRead, SearchAnswer, SearchRequest, UnreadableFile};
pub use field::{ALIASES, FieldAlias};
pub use follow::Follow;
pub(crate) use native::{parse as parse_native, visit as native_values};
pub(crate) use rows::{rows_that_match, visit_events};
pub(crate) use search::search;
pub(crate) use tally::tally;
pub use tally::{Tally, TallyBy, TallyRow};

use casebook_event::Event;

use crate::QueryError;
use crate::row_set::RowSet;

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
    Ok(found.candidates)
}

/// Whether an event matches a query: the meaning of the language, one event at a time, without an index.
///
/// # Errors
/// The query is not understood.
pub fn query_matches(text: &str, event: &Event) -> Result<bool, QueryError> {
    let query = parser::parse(text)?;
    Ok(matches::matches(&query, &row::Row::new(event)))
}
