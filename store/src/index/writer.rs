//! Building the index of one data file, row by row, in memory.

use std::collections::HashSet;
use std::path::Path;

use casebook_event::{Event, FieldId, Value};
use tantivy::directory::RamDirectory;
use tantivy::schema::Field;
use tantivy::store::Compressor;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Directory, Document, Index, IndexSettings, SingleSegmentIndexWriter};
use xxhash_rust::xxh3::xxh3_64;

use super::bundle::{BundleDirectory, pack};
use super::event_ids::{self, EventIds};
use super::fields::{
    IndexFields, NESTED_ESCAPES, OWN_COLUMNS, TOKENIZER, UNINDEXED, UNINDEXED_PROSE, index_schema, indexed_columns,
    is_indexed,
};
use super::terms::{SEPARATOR, TermTokenizer, column_code, push_keyword};
use super::tokenizer::{clip, fold, joins, record_text, visit_terms};
use crate::error::BoxError;
use crate::limits::{MAX_KEY_WORDS, MAX_ROW_TOKENS};

/// Longest text between quotes that may be a JSON key, in bytes.
const MAX_KEY_BYTES: usize = 128;

/// The terms of one row.
struct RowDocument([(Field, String); 2]);

impl Document for RowDocument {
    type Value<'a> = &'a str;
    type FieldsValuesIter<'a> =
        std::iter::Map<std::slice::Iter<'a, (Field, String)>, fn(&'a (Field, String)) -> (Field, &'a str)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.0.iter().map(|(field, text)| (*field, text.as_str()))
    }
}

/// Builds the index of one data file. Events are added in the order of its rows.
pub(crate) struct IndexWriter {
    writer: SingleSegmentIndexWriter<RowDocument>,
    /// Where the segment is written. The index's own view of it would strip the footer from every file.
    directory: RamDirectory,
    fields: IndexFields,
    /// The code of each normalized field, by its position in [`FieldId::ALL`].
    codes: Vec<Option<char>>,
    keys: KeyWords,
    ids: EventIds,
    rows: u32,
    /// The size of the row before, to begin the next one with.
    text_bytes: usize,
    keyword_bytes: usize,
}

impl IndexWriter {
    /// Begins an index.
    pub fn new(heap_bytes: usize) -> Result<Self, BoxError> {
        let (schema, fields) = index_schema();
        let settings = IndexSettings {
            // Nothing is stored, but tantivy notes so for each document.
            docstore_compression: Compressor::Lz4,
            ..IndexSettings::default()
        };
        let tokenizers = TokenizerManager::new();
        tokenizers.register(TOKENIZER, TermTokenizer::default());
        let directory = RamDirectory::create();
        let writer = Index::builder()
            .schema(schema)
            .settings(settings)
            .tokenizers(tokenizers)
            .single_segment_index_writer(directory.clone(), heap_bytes)?;
        let mut codes = vec![None; FieldId::ALL.len()];
        let indexed = FieldId::ALL.iter().filter(|id| is_indexed(**id));
        for (position, &id) in indexed.enumerate() {
            codes[id as usize] = Some(column_code(OWN_COLUMNS.len() + position));
        }
        Ok(Self {
            writer,
            directory,
            fields,
            codes,
            keys: KeyWords::default(),
            ids: EventIds::default(),
            rows: 0,
            text_bytes: 0,
            keyword_bytes: 0,
        })
    }

    /// Adds the next row.
    pub fn add(&mut self, event: &Event) -> Result<(), BoxError> {
        let mut text = String::with_capacity(self.text_bytes + 256);
        if !self.row_text(event, &mut text) {
            text.clear();
            text.push_str(UNINDEXED);
        }
        let mut keyword = String::with_capacity(self.keyword_bytes + 64);
        self.row_keywords(event, &mut keyword);
        (self.text_bytes, self.keyword_bytes) = (text.len(), keyword.len());
        self.writer
            .add_document(RowDocument([(self.fields.text, text), (self.fields.keyword, keyword)]))?;
        self.ids.push(event.id, self.rows);
        self.rows += 1;
        Ok(())
    }

    /// The words of a row; `false` where there are too many.
    fn row_text(&mut self, event: &Event, out: &mut String) -> bool {
        let mut count = 0usize;
        let mut push = |out: &mut String, term: &str| {
            count += 1;
            out.push_str(clip(term));
            out.push(SEPARATOR);
        };
        let text = record_text(&event.raw);
        self.keys.visit_record(&text, &mut |term| push(out, term));
        if text.contains("\\u") {
            push(out, NESTED_ESCAPES);
        }
        for &id in UNINDEXED_PROSE {
            if let Some(prose) = event.fields.str(id) {
                let prose = fold(prose);
                if !contains_words(&text, &prose) {
                    visit_terms(&prose, &mut |term| push(out, term.text));
                }
            }
        }
        count <= MAX_ROW_TOKENS
    }

    fn row_keywords(&self, event: &Event, out: &mut String) {
        push_keyword(out, column_code(0), event.source.name());
        for (id, value) in event.fields.iter() {
            let Some(code) = self.codes[id as usize] else { continue };
            match value {
                Value::List(items) => items.iter().for_each(|item| {
                    out.push(SEPARATOR);
                    push_keyword(out, code, &item.to_text());
                }),
                other => {
                    out.push(SEPARATOR);
                    push_keyword(out, code, &other.to_text());
                }
            }
        }
    }

    /// The finished bundle.
    pub fn finish(self) -> Result<Vec<u8>, BoxError> {
        let index = self.writer.finalize()?;
        let directory = &self.directory;
        let mut names: Vec<_> = index
            .load_metas()?
            .list_segment_files()
            .into_iter()
            .filter(|path| directory.exists(path).unwrap_or(false))
            .collect();
        names.sort_unstable();
        names.push(Path::new("meta.json").to_owned());
        let mut files = Vec::new();
        for name in names {
            let bytes = match name.as_os_str() == "meta.json" {
                true => directory.atomic_read(&name)?,
                false => whole_file(directory, &name)?,
            };
            files.push((name.to_string_lossy().into_owned(), bytes));
        }
        files.push((event_ids::FILE.to_owned(), self.ids.finish()));
        let directory = BundleDirectory {
            rows: self.rows,
            columns: indexed_columns().map(str::to_owned).collect(),
            key_words: self.keys.into_sorted(),
            ..BundleDirectory::default()
        };
        Ok(pack(directory, files)?)
    }
}

/// The bytes of a file of the segment, with the footer that tantivy puts after each.
fn whole_file(directory: &dyn Directory, name: &Path) -> Result<Vec<u8>, BoxError> {
    let handle = directory.get_file_handle(name)?;
    Ok(handle.read_bytes(0..handle.len())?.as_slice().to_vec())
}

/// Whether `words` is in `text` at the edges of words, so that its terms are among those of the text.
fn contains_words(text: &str, words: &str) -> bool {
    // One look is enough: where the first place is within a word, the words are simply added.
    text.find(words).is_some_and(|at| {
        let before = text[..at].chars().next_back().zip(words.chars().next());
        let after = words.chars().next_back().zip(text[at + words.len()..].chars().next());
        !before.is_some_and(|(a, b)| joins(a, b)) && !after.is_some_and(|(a, b)| joins(a, b))
    })
}

/// The words that occur as JSON keys. Keys are two fifths of the words of JSON logs and the same in almost every record:
/// instead of a posting for each row, the bundle lists them once, and a search does not narrow by them.
#[derive(Default)]
struct KeyWords {
    /// Hashes of keys of which every word is in `words`.
    known: HashSet<u64>,
    words: HashSet<String>,
}

impl KeyWords {
    /// Calls `push` with the terms of a folded record, without those of its keys.
    ///
    /// This is no scan of JSON ([`casebook_event::json`]): the text has its escapes resolved already, so that a quote within a
    /// string looks like its end. What is between any two quotes and before a colon is taken for a key. Where that is wrong, a
    /// word is listed as one of the keys, and a search for it narrows less.
    fn visit_record(&mut self, text: &str, push: &mut dyn FnMut(&str)) {
        let bytes = text.as_bytes();
        let quote = |from: usize| bytes[from..].iter().position(|&byte| byte == b'"').map(|at| from + at);
        let (mut done, mut at) = (0, 0);
        while let Some(open) = quote(at) {
            let Some(close) = quote(open + 1) else { break };
            at = close + 1;
            if bytes.get(at) == Some(&b':') || bytes.get(at..at + 2) == Some(b" :") {
                visit_terms(&text[done..open], &mut |term| push(term.text));
                self.visit_key(&text[open + 1..close], push);
                done = at;
            }
        }
        visit_terms(&text[done..], &mut |term| push(term.text));
    }

    fn visit_key(&mut self, key: &str, push: &mut dyn FnMut(&str)) {
        if key.len() > MAX_KEY_BYTES {
            return visit_terms(key, &mut |term| push(term.text));
        }
        let hash = xxh3_64(key.as_bytes());
        if self.known.contains(&hash) {
            return;
        }
        let mut complete = true;
        visit_terms(key, &mut |term| {
            let term = clip(term.text);
            if self.words.contains(term) {
                return;
            }
            if self.words.len() < MAX_KEY_WORDS {
                self.words.insert(term.to_owned());
            } else {
                complete = false;
                push(term);
            }
        });
        if complete && self.known.len() < MAX_KEY_WORDS {
            self.known.insert(hash);
        }
    }

    fn into_sorted(self) -> Vec<String> {
        let mut words: Vec<String> = self.words.into_iter().collect();
        words.sort_unstable();
        words
    }
}
