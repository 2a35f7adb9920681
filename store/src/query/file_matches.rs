//! The rows of one file that match: asked of its index, and looked at where the index cannot be sure.

use std::sync::Arc;

use bytes::Bytes;
use casebook_event::Timestamp;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};

use super::ast::Query;
use super::candidates::candidates;
use super::matches::matches;
use super::plan::Plan;
use super::row::Row;
use crate::decode::EventColumns;
use crate::index::{Bundle, BundleBytes, Found, IndexReader, bundle_path};
use crate::limits::MAX_BUNDLE_BYTES;
use crate::scan::{scan_rows, select};
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// What looking at one file gave, besides what was visited.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looked {
    /// Rows that match.
    pub matched: u64,
    /// Whether its index was asked.
    pub indexed: bool,
    /// Rows that were read.
    pub rows_read: u64,
}

/// A row that matches.
pub(crate) struct Match<'a> {
    /// Its number in the file.
    pub number: u32,
    /// Its time.
    pub time: Timestamp,
    /// The columns that were asked for.
    pub columns: &'a EventColumns<'a>,
    /// Its place in them.
    pub row: usize,
}

/// Takes each row that matches.
pub(crate) type Visit<'a> = dyn FnMut(&Match<'_>) + Send + 'a;

/// What is wanted of the rows that match.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// How many they are.
    Count,
    /// Their times, and these columns.
    Rows(&'a [&'static str]),
}

impl Store {
    /// Looks for the rows of `file` that match, and has each visited, in order, if more than their number is wanted.
    pub(crate) async fn look_at(
        &self,
        plan: &Arc<Plan>,
        file: &DataFile,
        wanted: Wanted<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<Looked, StoreError> {
        let asked = self.ask_index(plan, file).await?;
        let every_time = file.stats.is_within(plan.from, plan.to);
        let mut looked = Looked {
            indexed: asked.is_some(),
            ..Looked::default()
        };
        let (rows, exact) = match asked {
            Some(found) => (Some(found.rows), found.exact),
            None => (None, matches!(plan.query, Query::All)),
        };
        if let Some(rows) = &rows {
            if rows.is_empty() {
                return Ok(looked);
            }
            if exact && every_time && matches!(wanted, Wanted::Count) {
                looked.matched = rows.len() as u64;
                return Ok(looked);
            }
        }
        let mut columns = vec!["time_nanos"];
        if let Wanted::Rows(more) = wanted {
            columns.extend(more);
        }
        if !exact {
            columns.extend(&plan.columns);
        }
        let is_all = rows
            .as_ref()
            .is_none_or(|rows| Some(rows.len() as u64) == file.stats.rows);
        let mut numbers: Box<dyn Iterator<Item = u32> + Send> = match &rows {
            Some(rows) if !is_all => Box::new(rows.iter().collect::<Vec<_>>().into_iter()),
            _ => Box::new(0..u32::MAX),
        };
        let selection = rows.as_ref().filter(|_| !is_all).map(|rows| select(rows.iter()));
        let mut batches = scan_rows(self, TableName::Events, file, &columns, selection).await?;
        while let Some(batch) = batches.try_next().await? {
            looked.rows_read += batch.num_rows() as u64;
            let columns = EventColumns::new(&batch);
            for row in 0..batch.num_rows() {
                let Some(number) = numbers.next() else { break };
                let time = columns.time(row);
                if !plan.within(time) {
                    continue;
                }
                if !exact {
                    let event = columns.event(row).map_err(|reason| unreadable(file, reason))?;
                    if !matches(&plan.query, &Row::new(&event)) {
                        continue;
                    }
                }
                looked.matched += 1;
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
        Ok(looked)
    }

    /// The rows that the index of a file names; `None` where it has no usable one.
    async fn ask_index(&self, plan: &Arc<Plan>, file: &DataFile) -> Result<Option<Found>, StoreError> {
        let path = bundle_path(&file.path);
        let bytes = match self.location.local_path(&path) {
            Some(_) => None,
            None => match self.fetch(&path).await {
                Some(bytes) => Some(bytes),
                None => return Ok(None),
            },
        };
        let local = self.location.local_path(&path);
        let (plan, rows) = (plan.clone(), file.stats.rows);
        let asked = tokio::task::spawn_blocking(move || -> Result<Option<Found>, crate::error::BoxError> {
            let bytes = match (bytes, local) {
                (Some(bytes), _) => BundleBytes::Memory(bytes),
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

    async fn fetch(&self, path: &str) -> Option<Bytes> {
        let object = Path::from(path);
        let found = match self.location.files.get(&object).await {
            Ok(found) if found.meta.size <= MAX_BUNDLE_BYTES => found.bytes().await,
            Ok(_) | Err(ObjectError::NotFound { .. }) => return None,
            Err(error) => Err(error),
        };
        found
            .inspect_err(|error| tracing::warn!(path, %error, "cannot read an index; its file is read instead"))
            .ok()
    }
}

pub(super) fn unreadable(file: &DataFile, reason: String) -> StoreError {
    StoreError::File {
        table: TableName::Events.name(),
        action: "read",
        path: file.path.clone(),
        source: reason.into(),
    }
}
