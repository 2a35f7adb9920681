//! Here are the events of one data file, make an index of them; here is a term, a value or an id, give me the rows that may have it.
//!
//! Owns the bundle beside each file of events: one tantivy segment, in which the document id is the row number. Never reads a data
//! file, and never says what a query means.
//!
//! ```text
//! Event ─writer─▶ terms, event_ids ─▶ bundle ◀─ object ◀─ chunk_cache     tokenizer: the words of a record, for both ways
//!                     IndexMatches ◀─reader─┘
//! ```
//!
//! Nothing is stored twice: the segment holds two fields of bare postings (no frequencies, positions or norms).
//! `text` has the words of the raw record, `keyword` has the values of the indexed columns. Beside it, a table has the rows by
//! event id. All of them only name candidates where they cannot be exact; what a query means is decided by `query`, on the row
//! itself.

mod bundle;
mod chunk_cache;
mod directory;
mod event_ids;
mod fields;
mod object;
mod reader;
mod terms;
pub(crate) mod tokenizer;
mod writer;

pub(crate) use bundle::{Bundle, BundleBytes};
pub(crate) use chunk_cache::ChunkCache;
pub(crate) use fields::{NESTED_ESCAPES, indexed_columns, is_in_text, is_indexed, is_prose};
pub(crate) use object::ObjectBytes;
pub(crate) use reader::{IndexMatches, IndexReader};
pub(crate) use writer::IndexWriter;

/// The folder of the bundles in the events table; Delta readers and cleaners leave folders with `_` alone.
pub(crate) const FOLDER: &str = "_casebook_index";

/// Every term of the index in a bundle: what a search can find in it, for those who look for what must not be there.
///
/// # Errors
/// The file cannot be read, or is no index of this form.
pub fn index_terms(bundle: &std::path::Path) -> std::io::Result<Vec<Vec<u8>>> {
    let bundle = Bundle::open(BundleBytes::open(bundle)?)?;
    IndexReader::open(bundle).map_err(std::io::Error::other)?.terms()
}

/// Where the bundle of a data file is, relative to the events table.
pub(crate) fn bundle_name(data_file: &str) -> String {
    let name = data_file.rsplit('/').next().unwrap_or(data_file);
    format!("{FOLDER}/{name}.idx")
}

/// Where the bundle of a data file is, relative to the store.
pub(crate) fn bundle_path(data_file: &str) -> String {
    format!("{}/{}", crate::TableName::Events.name(), bundle_name(data_file))
}
