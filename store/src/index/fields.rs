//! What is indexed, and under which names.

use casebook_event::{FieldId, FieldType, Indexed};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};

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
pub(super) const UNINDEXED_PROSE: &[FieldId] = &[FieldId::Message, FieldId::ErrorMessage, FieldId::ErrorStackTrace];

/// The indexed columns that are no normalized fields. Event ids have a file of their own ([`super::event_ids`]).
pub(super) const OWN_COLUMNS: &[&str] = &["source"];

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
pub(super) const UNINDEXED: &str = "\u{2}unindexed";

/// Stands in `text` for a row that has escapes within its escapes, as JSON within JSON has: a word of the inner record
/// may be written otherwise in the text.
pub(crate) const NESTED_ESCAPES: &str = "\u{2}nested";

/// The name under which [`super::terms::TermTokenizer`] is registered.
pub(super) const TOKENIZER: &str = "casebook_terms";

/// The two fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexFields {
    pub text: Field,
    pub keyword: Field,
}

/// The schema of a segment.
pub(super) fn index_schema() -> (Schema, IndexFields) {
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
