//! The index: one tantivy segment for each file of events, in which the document id is the row number.
//!
//! Nothing is stored twice: the segment holds two fields of bare postings (no frequencies, positions or norms).
//! `text` has the words of the raw record, `keyword` has the values of the indexed columns. Beside it, a table has the rows by
//! event id. All of them only name candidates where they cannot be exact; what a query means is said by [`crate::query`], on the row
//! itself.

mod bundle;
mod chunk_cache;
mod directory;
mod event_ids;
mod object;
mod reader;
mod terms;
pub(crate) mod tokenizer;
mod writer;

pub(crate) use bundle::{Bundle, BundleBytes};
pub(crate) use chunk_cache::ChunkCache;
pub(crate) use object::ObjectBytes;
pub(crate) use reader::{Found, IndexReader};
pub(crate) use writer::IndexWriter;

use casebook_event::{FieldId, FieldType, Indexed};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};

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

/// Fields that hold prose or commands rather than names: a query looks for its words in them, not for the whole value.
pub(crate) fn is_prose(id: FieldId) -> bool {
    matches!(
        id,
        FieldId::Message
            | FieldId::ErrorMessage
            | FieldId::ErrorStackTrace
            | FieldId::ProcessCommandLine
            | FieldId::ProcessParentCommandLine
            | FieldId::UserAgentOriginal
    )
}

/// Prose that is not in `keyword`: its words are added to those of the raw record, where they are not in it anyway.
const UNINDEXED_PROSE: &[FieldId] = &[FieldId::Message, FieldId::ErrorMessage, FieldId::ErrorStackTrace];

/// The indexed columns that are no normalized fields. Event ids have a file of their own ([`event_ids`]).
const OWN_COLUMNS: &[&str] = &["source"];

/// The indexed columns, in the order of their codes.
pub(crate) fn indexed_columns() -> impl Iterator<Item = &'static str> {
    let fields = FieldId::ALL
        .iter()
        .map(|id| id.info())
        .filter(|info| info.indexed != Indexed::No);
    OWN_COLUMNS.iter().copied().chain(fields.map(|info| info.column))
}

/// Whether a field's values are in `keyword`.
pub(crate) fn is_indexed(id: FieldId) -> bool {
    id.info().indexed != Indexed::No
}

/// Whether a prose field's words are among those of the text.
pub(crate) fn is_in_text(id: FieldId) -> bool {
    UNINDEXED_PROSE.contains(&id) && id.info().field_type == FieldType::Keyword
}

/// Stands in `text` for a row with more words than the index takes: it is a candidate of every search in the text.
/// A word has no such character in it.
const UNINDEXED: &str = "\u{2}unindexed";

/// Stands in `text` for a row that has escapes within its escapes, as JSON within JSON has: a word of the inner record
/// may be written otherwise in the text.
pub(crate) const NESTED_ESCAPES: &str = "\u{2}nested";

/// The name under which [`terms::TermTokenizer`] is registered.
const TOKENIZER: &str = "casebook_terms";

/// The two fields.
#[derive(Debug, Clone, Copy)]
struct IndexFields {
    text: Field,
    keyword: Field,
}

fn index_schema() -> (Schema, IndexFields) {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let options = TextOptions::default().set_indexing_options(indexing);
    let mut schema = Schema::builder();
    let text = schema.add_text_field("text", options.clone());
    let keyword = schema.add_text_field("keyword", options);
    (schema.build(), IndexFields { text, keyword })
}
