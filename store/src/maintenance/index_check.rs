//! Whether the index of a data file is whole, belongs to it, and finds its rows.

use std::fmt;
use std::io;

use casebook_event::Event;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};

use crate::StoreError;
use crate::index::tokenizer::{record_text, visit_terms};
use crate::index::{Bundle, BundleBytes, IndexReader, bundle_path, indexed_columns};
use crate::limits::MAX_BUNDLE_BYTES;
use crate::query::{candidate_rows, query_matches};
use crate::row_set::RowSet;
use crate::table::DataFile;
use crate::tables::Tables;

/// Words of a sampled row that the index is asked for.
const SAMPLED_WORDS: usize = 4;

/// Why an index cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexFault {
    Missing,
    Broken(String),
}

impl fmt::Display for IndexFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file has no index: every search reads it"),
            Self::Broken(reason) => write!(f, "the index is not used, and every search reads the file: {reason}"),
        }
    }
}

impl From<io::Error> for IndexFault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Reads the index of a file whole, and asks it for the sampled rows. `rows` is how many rows the file has, where that is
/// known.
pub(super) async fn check_index(
    tables: &Tables,
    file: &DataFile,
    rows: Option<u64>,
    samples: Vec<(u32, Event)>,
) -> Result<Result<(), IndexFault>, StoreError> {
    let bytes = match index_bytes(tables, file).await {
        Ok(bytes) => bytes,
        Err(fault) => return Ok(Err(fault)),
    };
    let rows = rows.or(file.stats.rows);
    tokio::task::spawn_blocking(move || check(bytes, rows, &samples))
        .await
        .map_err(|_| StoreError::Cancelled)
}

async fn index_bytes(tables: &Tables, file: &DataFile) -> Result<BundleBytes, IndexFault> {
    let path = bundle_path(&file.path);
    if let Some(local) = tables.location.local_path(&path) {
        return match BundleBytes::open(&local) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(IndexFault::Missing),
            Err(error) => Err(error.into()),
        };
    }
    let broken = |error: ObjectError| IndexFault::Broken(error.to_string());
    match tables.files().get(&Path::from(path)).await {
        Ok(found) if found.meta.size > MAX_BUNDLE_BYTES => Err(IndexFault::Broken(format!(
            "it has {} bytes, more than {MAX_BUNDLE_BYTES}",
            found.meta.size
        ))),
        Ok(found) => Ok(BundleBytes::Memory(found.bytes().await.map_err(broken)?)),
        Err(ObjectError::NotFound { .. }) => Err(IndexFault::Missing),
        Err(error) => Err(broken(error)),
    }
}

fn check(bytes: BundleBytes, rows: Option<u64>, samples: &[(u32, Event)]) -> Result<(), IndexFault> {
    let bundle = Bundle::open(bytes)?;
    bundle.verify()?;
    if !indexed_columns().eq(bundle.directory.columns.iter().map(String::as_str)) {
        return Err(IndexFault::Broken(
            "an older version wrote it, with other columns".into(),
        ));
    }
    let index = IndexReader::open(bundle).map_err(|error| IndexFault::Broken(error.to_string()))?;
    if let Some(rows) = rows
        && u64::from(index.rows()) != rows
    {
        return Err(IndexFault::Broken(format!(
            "it has {} rows, the file {rows}",
            index.rows()
        )));
    }
    for (row, event) in samples {
        for query in questions(event) {
            // What a row does not match, it need not be found by.
            if query_matches(&query, event) != Ok(true) {
                continue;
            }
            let named: RowSet = candidate_rows(&query, &index).map_err(IndexFault::Broken)?;
            if !named.contains(*row) {
                return Err(IndexFault::Broken(format!("it does not name row {row} for `{query}`")));
            }
        }
    }
    Ok(())
}

/// Queries that find an event: its id, and some of its words.
fn questions(event: &Event) -> Vec<String> {
    let text = record_text(&event.raw);
    let mut words: Vec<String> = Vec::new();
    visit_terms(&text, &mut |term| words.push(term.text.to_owned()));
    let stride = words.len().div_ceil(SAMPLED_WORDS).max(1);
    let mut questions = vec![format!("event_id:{}", event.id)];
    questions.extend(words.iter().step_by(stride).map(|word| format!("\"{word}\"")));
    questions
}
