//! Asking a file's index which rows may match a query: the candidates hold every match. Which of them are exact is said too; the
//! others are rechecked on the row itself.

use std::io;

use super::ast::{Query, Target, TextTest, ValueTest};
use super::wildcard::{Piece, Wildcard};
use crate::data_file::Column;
use crate::index::tokenizer::{
    TextTerm, UUID_BYTES, clip, is_letter, may_be_clipped, may_be_in_uuid, visit_terms, words,
};
use crate::index::{IndexMatches, IndexReader, NESTED_ESCAPES, is_in_text, is_indexed};
use crate::row_set::RowSet;

/// The rows of a file that may match.
///
/// # Errors
/// The index is broken.
pub(crate) fn candidates(query: &Query, index: &IndexReader) -> io::Result<IndexMatches> {
    let every = || RowSet::all(index.rows());
    Ok(match query {
        Query::All => IndexMatches::exact(every()),
        Query::Time(_, _) => IndexMatches::recheck(every()),
        Query::And(parts) => {
            let mut all = IndexMatches::exact(every());
            for part in parts {
                let found = candidates(part, index)?;
                all.candidates.intersect(&found.candidates);
                all.exact.intersect(&found.exact);
                if all.candidates.is_empty() {
                    break;
                }
            }
            all
        }
        Query::Or(parts) => {
            let mut any = IndexMatches::exact(RowSet::none(index.rows()));
            for part in parts {
                let found = candidates(part, index)?;
                any.candidates.union(&found.candidates);
                any.exact.union(&found.exact);
            }
            any
        }
        Query::Not(part) => {
            let found = candidates(part, index)?;
            IndexMatches {
                candidates: found.exact.complement(),
                exact: found.candidates.complement(),
            }
        }
        Query::Text(test) => IndexMatches::recheck(text_rows(test, index)?.unwrap_or_else(every)),
        Query::Field(target, test) => {
            field_rows(target, test, index)?.unwrap_or_else(|| IndexMatches::recheck(every()))
        }
    })
}

/// Narrows `rows` to those of `found`; `None` stands for every row.
fn narrow(rows: &mut Option<RowSet>, found: Option<RowSet>) {
    match (rows.as_mut(), found) {
        (_, None) => {}
        (Some(rows), Some(found)) => rows.intersect(&found),
        (None, Some(found)) => *rows = Some(found),
    }
}

fn text_rows(test: &TextTest, index: &IndexReader) -> io::Result<Option<RowSet>> {
    match test {
        TextTest::Phrase(phrase) => phrase_rows(phrase, index),
        TextTest::Wildcard(wildcard) => wildcard_rows(wildcard, index),
        TextTest::Regex(_) => Ok(None),
    }
}

/// Rows whose text has every term of a phrase that stands at the edges of words.
fn phrase_rows(phrase: &str, index: &IndexReader) -> io::Result<Option<RowSet>> {
    let mut terms: Vec<&str> = Vec::new();
    visit_terms(phrase, &mut |TextTerm { text, .. }| terms.push(text));
    // Long terms are the rare ones: where one is nowhere, the others need not be looked up.
    terms.sort_unstable_by_key(|term| std::cmp::Reverse(term.len()));
    terms.dedup();
    let mut rows = None;
    for term in terms {
        narrow(&mut rows, term_rows(term, index)?);
        if rows.as_ref().is_some_and(RowSet::is_empty) {
            break;
        }
    }
    Ok(rows)
}

fn term_rows(term: &str, index: &IndexReader) -> io::Result<Option<RowSet>> {
    let Some(mut rows) = index.text_term(term)? else {
        return Ok(None);
    };
    if may_be_in_uuid(term) {
        // The word may be one of the five of a UUID, which is indexed whole.
        let holds = |held: &str| held.len() == UUID_BYTES && held.split('-').any(|part| part == term);
        let Some(more) = index.text_scan("", &holds)? else {
            return Ok(None);
        };
        rows.union(&more);
    }
    Ok(Some(rows))
}

/// Whether every word that has `part` in it is indexed, whatever else the word has.
fn always_indexed(part: &str) -> bool {
    part.len() >= 3
        && part
            .bytes()
            .any(|byte| !byte.is_ascii_digit() && !matches!(byte, b't' | b'z'))
}

fn wildcard_rows(wildcard: &Wildcard, index: &IndexReader) -> io::Result<Option<RowSet>> {
    let pieces = wildcard.pieces();
    let mut rows = None;
    for (n, piece) in pieces.iter().enumerate() {
        let Piece::Literal(text) = piece else { continue };
        let open_start = n > 0 && text.chars().next().is_some_and(is_letter);
        let open_end = n + 1 < pieces.len() && text.chars().next_back().is_some_and(is_letter);
        let all: Vec<(usize, &str)> = words(text).collect();
        let Some((&(_, first), &(last_at, last))) = all.first().zip(all.last()) else {
            continue;
        };
        // Words in the middle are whole, and what stands between the first and the last of them is a phrase.
        let from = if open_start {
            all.get(1).map(|(at, _)| *at)
        } else {
            Some(0)
        };
        let to = if open_end { last_at } else { text.len() };
        if let Some(from) = from
            && from < to
        {
            narrow(&mut rows, phrase_rows(&text[from..to], index)?);
        }
        // Words at an open end are parts of words.
        let starts = open_start.then_some(first);
        let ends = (open_end && !(open_start && all.len() == 1)).then_some(last);
        for part in starts.into_iter().chain(ends).filter(|part| always_indexed(part)) {
            narrow(&mut rows, part_rows(clip(part), index)?);
        }
        if rows.as_ref().is_some_and(RowSet::is_empty) {
            break;
        }
    }
    Ok(rows)
}

/// Rows whose text has a word with `part` in it.
fn part_rows(part: &str, index: &IndexReader) -> io::Result<Option<RowSet>> {
    index.text_scan("", &|held| held.contains(part) || may_be_clipped(held))
}

fn field_rows(target: &Target, test: &ValueTest, index: &IndexReader) -> io::Result<Option<IndexMatches>> {
    match target {
        Target::Native(_) => Ok(native_rows(test, index)?.map(IndexMatches::recheck)),
        Target::First(columns) | Target::Any(columns) => {
            let mut any: Option<IndexMatches> = None;
            for &column in columns {
                let Some(found) = column_rows(column, test, index)? else {
                    return Ok(None);
                };
                match any.as_mut() {
                    None => any = Some(found),
                    Some(any) => {
                        any.candidates.union(&found.candidates);
                        // Of the first column that is set, a later one's value does not count; nor does a claim.
                        if matches!(target, Target::Any(_)) && column.claims().is_none() {
                            any.exact.union(&found.exact);
                        }
                    }
                }
            }
            Ok(any)
        }
    }
}

fn column_rows(column: Column, test: &ValueTest, index: &IndexReader) -> io::Result<Option<IndexMatches>> {
    let name = match column {
        Column::Field(id) if is_indexed(id) => id.info().column,
        Column::Field(id) => {
            let rows = match test {
                ValueTest::Phrase(phrase) if is_in_text(id) => phrase_rows(phrase, index)?,
                ValueTest::Equals(text) if is_in_text(id) => phrase_rows(text, index)?,
                _ => None,
            };
            return Ok(rows.map(IndexMatches::recheck));
        }
        Column::Source => "source",
        Column::EventId => {
            return Ok(match test.prefix() {
                // Nothing is known of it but that it has an id.
                "" => None,
                prefix => Some(IndexMatches::recheck(index.event_ids(prefix)?)),
            });
        }
        Column::Topic | Column::Partition | Column::Offset => return Ok(None),
    };
    match test {
        ValueTest::Equals(value) => index.keyword(name, value),
        test => index.keyword_scan(name, test.prefix(), &|value| test.passes(value)),
    }
}

/// Rows of which the raw text has the words of a value that stands in the source's own record. Only plain values say
/// something: others may be written with escapes, and numbers in several ways.
fn native_rows(test: &ValueTest, index: &IndexReader) -> io::Result<Option<RowSet>> {
    match test {
        ValueTest::Equals(value)
            if value.parse::<f64>().is_err()
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-:@=+, ".contains(&b)) =>
        {
            let mut rows = phrase_rows(value, index)?;
            if let Some(rows) = rows.as_mut() {
                rows.union(&index.marked(NESTED_ESCAPES)?);
            }
            Ok(rows)
        }
        _ => Ok(None),
    }
}
