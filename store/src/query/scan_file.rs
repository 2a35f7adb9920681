//! The rows of one file that match: candidates of its index, rechecked where the index is not exact.

use std::sync::Arc;

use casebook_event::Timestamp;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};

use super::answer::FilesRead;
use super::ast::Query;
use super::candidates::candidates;
use super::matches::matches;
use super::plan::Plan;
use super::row::Row;
use crate::data_file::{Batches, EventColumns, OpenFile, PageIndex, select};
use crate::index::{Bundle, BundleBytes, IndexMatches, IndexReader, ObjectBytes, bundle_path};
use crate::limits::MAX_FILE_ROWS;
use crate::row_set::RowSet;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What the scan of one file gave, besides what was visited.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScanStats {
    /// Rows that match.
    pub matched: u64,
    /// How they were found.
    pub path: AccessPath,
    /// Rows that were read.
    pub rows_read: u64,
}

impl ScanStats {
    /// Counts this file among those that were read for an answer.
    pub fn count_into(&self, files: &mut FilesRead) {
        match self.path {
            AccessPath::Index => files.indexed += 1,
            AccessPath::Dictionary => files.counted += 1,
            AccessPath::Scan => files.scanned += 1,
        }
        files.rows_read += self.rows_read;
    }
}

/// How the rows of a file that match were found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AccessPath {
    /// Its index was asked.
    Index,
    /// Every row matches, and their values were counted in the dictionary of a column.
    Dictionary,
    /// It has no usable index: every row was read.
    #[default]
    Scan,
}

/// A row that matches.
pub(crate) struct Match<'a> {
    /// Its number in the file.
    pub number: u32,
    /// Its time, where `time_nanos` was asked for.
    pub time: Timestamp,
    /// The columns that were asked for.
    pub columns: &'a EventColumns<'a>,
    /// Its row in them.
    pub row: usize,
}

/// Takes each row that matches.
pub(crate) type Visit<'a> = dyn FnMut(&Match<'_>) + Send + 'a;

/// What is wanted of the rows that match.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// How many they are.
    Count,
    /// Their numbers, and these columns.
    Rows(&'a [&'static str]),
}

/// The numbers of rows that are read.
type Numbers = Box<dyn Iterator<Item = u32> + Send>;

/// From a time (inclusive) to a time (exclusive), each of which may be open.
type TimeRange = (Option<Timestamp>, Option<Timestamp>);

/// Rows that are read, and their numbers.
type Read = (Batches, Numbers);

/// Rows from which on it pays to prune pages by time, before they are read.
const MANY_ROWS: usize = 8 * 1024;

/// Finds the rows of `file` that match, and has each visited, in order, if more than their number is wanted.
pub(crate) async fn scan_file(
    tables: &Tables,
    plan: &Arc<Plan>,
    file: &DataFile,
    wanted: Wanted<'_>,
    visit: &mut Visit<'_>,
) -> Result<ScanStats, StoreError> {
    let asked = ask_index(tables, plan, file).await?;
    let within = (!file.stats.is_within(plan.from, plan.to)).then_some((plan.from, plan.to));
    let mut stats = ScanStats {
        path: match asked {
            Some(_) => AccessPath::Index,
            None => AccessPath::Scan,
        },
        ..ScanStats::default()
    };
    let rows = exact_rows(tables, plan, file, asked, within, &mut stats).await?;
    if let Some(rows) = &rows {
        if rows.is_empty() {
            return Ok(stats);
        }
        if within.is_none() && matches!(wanted, Wanted::Count) {
            stats.matched = rows.len() as u64;
            return Ok(stats);
        }
    }
    let mut columns: Vec<&'static str> = match wanted {
        Wanted::Rows(wanted) => wanted.to_vec(),
        Wanted::Count => Vec::new(),
    };
    // Where all that is wanted is how many rows there are, some column must be read all the same.
    if within.is_some() || columns.is_empty() {
        columns.push("time_nanos");
    }
    let (mut batches, mut numbers) = read(tables, file, rows, &columns, within).await?;
    while let Some(batch) = batches.try_next().await? {
        stats.rows_read += batch.num_rows() as u64;
        let columns = EventColumns::new(&batch);
        for (row, number) in (0..batch.num_rows()).zip(&mut numbers) {
            let time = columns.time(row);
            if within.is_some() && !plan.within(time) {
                continue;
            }
            stats.matched += 1;
            if matches!(wanted, Wanted::Rows(_)) {
                visit(&Match {
                    number,
                    time,
                    columns: &columns,
                    row,
                });
            }
        }
    }
    Ok(stats)
}

/// The rows that match but for their times, of which the index has named candidates, or nothing; `None` stands for every row.
async fn exact_rows(
    tables: &Tables,
    plan: &Plan,
    file: &DataFile,
    asked: Option<IndexMatches>,
    within: Option<TimeRange>,
    stats: &mut ScanStats,
) -> Result<Option<RowSet>, StoreError> {
    match asked {
        Some(IndexMatches {
            mut candidates,
            mut exact,
        }) => {
            candidates.subtract(&exact);
            if !candidates.is_empty() {
                let read = read(tables, file, Some(candidates), &plan.columns, within).await?;
                recheck(plan, file, read, &mut exact, stats).await?;
            }
            Ok(Some(exact))
        }
        None if matches!(plan.query, Query::All) => Ok(None),
        None => {
            let rows = u32::try_from(file.stats.rows.unwrap_or(MAX_FILE_ROWS as u64)).unwrap_or(u32::MAX);
            let mut exact = RowSet::none(rows);
            let read = read(tables, file, None, &plan.columns, within).await?;
            recheck(plan, file, read, &mut exact, stats).await?;
            Ok(Some(exact))
        }
    }
}

/// Reads columns of rows (every one, where none are named), and their numbers; where it pays, without the pages that are not
/// within a time.
async fn read(
    tables: &Tables,
    file: &DataFile,
    mut rows: Option<RowSet>,
    columns: &[&str],
    within: Option<TimeRange>,
) -> Result<Read, StoreError> {
    let within = within.filter(|_| rows.as_ref().is_none_or(|rows| rows.len() > MANY_ROWS));
    let index = match (&within, &rows) {
        (Some(_), _) => PageIndex::OffsetsAndBounds,
        (None, Some(_)) => PageIndex::Offsets,
        (None, None) => PageIndex::None,
    };
    let opened = OpenFile::open(tables.files(), TableName::Events, file, index).await?;
    if let Some((from, to)) = within {
        let within = opened.rows_between(from, to);
        match &mut rows {
            Some(rows) => rows.intersect(&within),
            None => rows = Some(within),
        }
    }
    // A selection of everything only costs.
    let rows = rows.filter(|rows| Some(rows.len() as u64) != file.stats.rows);
    let numbers: Numbers = match &rows {
        Some(rows) => Box::new(rows.iter().collect::<Vec<_>>().into_iter()),
        None => Box::new(0..u32::MAX),
    };
    let selection = rows.map(|rows| select(rows.iter()));
    Ok((opened.rows(columns, selection)?, numbers))
}

/// The rows that the index of a file names; `None` where it has no usable one.
async fn ask_index(tables: &Tables, plan: &Arc<Plan>, file: &DataFile) -> Result<Option<IndexMatches>, StoreError> {
    let path = bundle_path(&file.path);
    let local = tables.location.local_path(&path);
    let object = match &local {
        Some(_) => None,
        None => match index_object(tables, &path).await {
            Some(object) => Some(object),
            None => return Ok(None),
        },
    };
    let (plan, rows) = (plan.clone(), file.stats.rows);
    let asked = tokio::task::spawn_blocking(move || -> Result<Option<IndexMatches>, crate::error::BoxError> {
        let bytes = match (object, local) {
            (Some(object), _) => BundleBytes::Object(Arc::new(object)),
            (None, Some(local)) => match BundleBytes::open(&local) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            },
            (None, None) => return Ok(None),
        };
        let index = IndexReader::open(Bundle::open(bytes)?)?;
        if rows.is_some_and(|rows| rows != u64::from(index.rows())) {
            return Err("it belongs to another file".into());
        }
        Ok(Some(candidates(&plan.query, &index)?))
    });
    match asked.await.map_err(|_| StoreError::Cancelled)? {
        Ok(found) => Ok(found),
        Err(error) => {
            tracing::warn!(path, %error, "an index is not usable; its file is read instead");
            Ok(None)
        }
    }
}

/// The index of a file in an object store.
async fn index_object(tables: &Tables, path: &str) -> Option<ObjectBytes> {
    let (files, store) = (tables.location.files.clone(), &tables.location.text);
    let object = Path::from(path);
    match files.head(&object).await {
        Ok(meta) => Some(ObjectBytes::new(
            files,
            store,
            object,
            &meta,
            tables.index_cache.clone(),
        )),
        Err(ObjectError::NotFound { .. }) => None,
        Err(error) => {
            tracing::warn!(path, %error, "cannot read an index; its file is read instead");
            None
        }
    }
}

/// Tests rows that were read, and adds those to `exact` that match but for their times.
async fn recheck(
    plan: &Plan,
    file: &DataFile,
    (mut batches, mut numbers): Read,
    exact: &mut RowSet,
    stats: &mut ScanStats,
) -> Result<(), StoreError> {
    while let Some(batch) = batches.try_next().await? {
        stats.rows_read += batch.num_rows() as u64;
        let columns = EventColumns::new(&batch);
        for (row, number) in (0..batch.num_rows()).zip(&mut numbers) {
            let event = columns.event(row).map_err(|reason| unreadable(file, reason))?;
            if matches(&plan.query, &Row::new(&event)) {
                exact.insert(number);
            }
        }
    }
    Ok(())
}

pub(super) fn unreadable(file: &DataFile, reason: String) -> StoreError {
    StoreError::File {
        table: TableName::Events.name(),
        action: "read",
        path: file.path.clone(),
        source: reason.into(),
    }
}
