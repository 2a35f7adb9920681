//! Asking the index of one data file for the rows that may match.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use tantivy::index::InvertedIndexReader;
use tantivy::postings::TermInfo;
use tantivy::schema::IndexRecordOption;
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Index, SegmentReader};

use super::bundle::{Bundle, BundleDirectory};
use super::directory::BundleDirectoryReader;
use super::event_ids;
use super::fields::{TOKENIZER, UNINDEXED, index_schema};
use super::terms::{CLIPPED, TermTokenizer, column_code, indexed_part, push_keyword};
use super::tokenizer::clip;
use crate::limits::MAX_EXPANDED_TERMS;
use crate::row_set::RowSet;

/// The index of one data file.
pub(crate) struct IndexReader {
    bundle: Arc<Bundle>,
    text: Arc<InvertedIndexReader>,
    keyword: Arc<InvertedIndexReader>,
}

/// What the index says of a file's rows.
#[derive(Debug, Clone)]
pub(crate) struct IndexMatches {
    /// The candidates: every row that matches is among these.
    pub candidates: RowSet,
    /// Candidates that match for certain; the others must be rechecked on the row itself.
    pub exact: RowSet,
}

impl IndexMatches {
    /// These rows match, and no others.
    pub fn exact(rows: RowSet) -> Self {
        Self {
            exact: rows.clone(),
            candidates: rows,
        }
    }

    /// Some of these rows may match; each must be rechecked.
    pub fn recheck(candidates: RowSet) -> Self {
        Self {
            exact: RowSet::none(candidates.of()),
            candidates,
        }
    }
}

impl IndexReader {
    /// Opens the index in a bundle that has been opened and verified.
    ///
    /// # Errors
    /// The bundle holds no index of this form.
    pub fn open(bundle: Bundle) -> Result<Self, tantivy::TantivyError> {
        let bundle = Arc::new(bundle);
        let mut index = Index::open(BundleDirectoryReader(bundle.clone()))?;
        let tokenizers = TokenizerManager::new();
        tokenizers.register(TOKENIZER, TermTokenizer::default());
        index.set_tokenizers(tokenizers);
        let segments = index.searchable_segments()?;
        let [segment] = segments.as_slice() else {
            return Err(tantivy::TantivyError::InvalidArgument(format!(
                "{} segments, not one",
                segments.len()
            )));
        };
        let reader = SegmentReader::open(segment)?;
        if reader.max_doc() != bundle.directory.rows {
            return Err(tantivy::TantivyError::InvalidArgument(format!(
                "{} documents for {} rows",
                reader.max_doc(),
                bundle.directory.rows
            )));
        }
        let (_, fields) = index_schema();
        Ok(Self {
            text: reader.inverted_index(fields.text)?,
            keyword: reader.inverted_index(fields.keyword)?,
            bundle,
        })
    }

    fn directory(&self) -> &BundleDirectory {
        &self.bundle.directory
    }

    /// Every term, of words and of values.
    pub fn terms(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        for postings in [&self.text, &self.keyword] {
            let mut terms = postings.terms().stream()?;
            while terms.advance() {
                found.push(terms.key().to_vec());
            }
        }
        Ok(found)
    }

    /// Rows of the data file.
    pub fn rows(&self) -> u32 {
        self.directory().rows
    }

    /// Rows that a term of the writer's own stands for.
    pub fn marked(&self, mark: &str) -> io::Result<RowSet> {
        let mut rows = RowSet::none(self.rows());
        if let Some(info) = self.text.terms().get(mark)? {
            self.collect(&self.text, &info, &mut rows)?;
        }
        Ok(rows)
    }

    fn is_key_word(&self, term: &str) -> bool {
        self.directory()
            .key_words
            .binary_search_by(|word| word.as_str().cmp(term))
            .is_ok()
    }

    /// Rows whose text may hold a term. `None`: any row may.
    pub fn text_term(&self, term: &str) -> io::Result<Option<RowSet>> {
        let term = clip(term);
        if self.is_key_word(term) {
            return Ok(None);
        }
        let mut rows = self.marked(UNINDEXED)?;
        if let Some(info) = self.text.terms().get(term)? {
            self.collect(&self.text, &info, &mut rows)?;
        }
        Ok(Some(rows))
    }

    /// Rows whose text may hold a term that `test` accepts, of those that begin with `prefix`. `None`: any row may.
    pub fn text_scan(&self, prefix: &str, test: &dyn Fn(&str) -> bool) -> io::Result<Option<RowSet>> {
        if self
            .directory()
            .key_words
            .iter()
            .any(|word| word.starts_with(prefix) && test(word))
        {
            return Ok(None);
        }
        let mut rows = self.marked(UNINDEXED)?;
        let mut matching = 0;
        let flow = self.scan(&self.text, prefix, &mut |term, info| {
            if !test(term) {
                return Ok(ControlFlow::Continue(()));
            }
            matching += 1;
            if matching > MAX_EXPANDED_TERMS {
                return Ok(ControlFlow::Break(()));
            }
            self.collect(&self.text, info, &mut rows)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(flow.is_continue().then_some(rows))
    }

    /// The code of a column; `None` where this index does not have it.
    fn code(&self, column: &str) -> Option<char> {
        self.directory()
            .columns
            .iter()
            .position(|name| name == column)
            .map(column_code)
    }

    /// Rows of which the event id may begin with `prefix` (folded).
    pub fn event_ids(&self, prefix: &str) -> io::Result<RowSet> {
        event_ids::rows(&self.bundle, prefix)
    }

    /// Rows that hold `value` (folded) in a column. `None`: the column is not in this index.
    pub fn keyword(&self, column: &str, value: &str) -> io::Result<Option<IndexMatches>> {
        let Some(code) = self.code(column) else { return Ok(None) };
        let mut term = String::with_capacity(value.len() + 4);
        push_keyword(&mut term, code, value);
        let mut rows = RowSet::none(self.rows());
        if let Some(info) = self.keyword.terms().get(&term)? {
            self.collect(&self.keyword, &info, &mut rows)?;
        }
        Ok(Some(match term.ends_with(CLIPPED) {
            true => IndexMatches::recheck(rows),
            false => IndexMatches::exact(rows),
        }))
    }

    /// Rows that may hold a value that `test` accepts in a column, of those that begin with `prefix` (folded). `None`:
    /// the column is not in this index, or too many of its values match.
    pub fn keyword_scan(
        &self,
        column: &str,
        prefix: &str,
        test: &dyn Fn(&str) -> bool,
    ) -> io::Result<Option<IndexMatches>> {
        let Some(code) = self.code(column) else { return Ok(None) };
        let code_bytes = code.len_utf8();
        let mut start = String::from(code);
        start.push_str(indexed_part(prefix));
        let mut found = IndexMatches::exact(RowSet::none(self.rows()));
        let mut matching = 0;
        let flow = self.scan(&self.keyword, &start, &mut |term, info| {
            let value = &term[code_bytes..];
            let clipped = value.ends_with(CLIPPED);
            if !clipped && !test(value) {
                return Ok(ControlFlow::Continue(()));
            }
            matching += 1;
            if matching > MAX_EXPANDED_TERMS {
                return Ok(ControlFlow::Break(()));
            }
            // What was clipped may go on otherwise.
            let rows = if clipped {
                &mut found.candidates
            } else {
                &mut found.exact
            };
            self.collect(&self.keyword, info, rows)?;
            Ok(ControlFlow::Continue(()))
        })?;
        found.candidates.union(&found.exact);
        Ok(flow.is_continue().then_some(found))
    }

    fn scan(
        &self,
        index: &InvertedIndexReader,
        prefix: &str,
        visit: &mut dyn FnMut(&str, &TermInfo) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<ControlFlow<()>> {
        let mut stream = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        while let Some((term, info)) = stream.next() {
            if !term.starts_with(prefix.as_bytes()) {
                break;
            }
            let Ok(term) = std::str::from_utf8(term) else { continue };
            if visit(term, info)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn collect(&self, index: &InvertedIndexReader, info: &TermInfo, rows: &mut RowSet) -> io::Result<()> {
        let mut postings = index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            postings.docs().iter().for_each(|&row| rows.insert(row));
            postings.advance();
        }
        Ok(())
    }
}
