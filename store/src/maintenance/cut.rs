//! The files of one date of a derived table, as they go: what later answers need of them becomes a file of the first date that is kept.

use std::sync::Arc;

use casebook_event::Timestamp;

use super::clock::Clock;
use super::compact::compact_dates;
use super::group::MAX_MERGED_FILES;
use super::merge::{Merge, unusable};
use super::readable::batch_rows;
use crate::data_file::{DataFileWriter, file_name, put_file};
use crate::kept::{self, NeededBindings, kept_base};
use crate::schema::TableSchema;
use crate::table::{Add, DataFile, StatsBuilder};
use crate::tables::Tables;
use crate::{StoreError, TableName};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// A date that goes.
pub(super) struct Cut<'a> {
    pub tables: &'a Tables,
    pub table: TableName,
    pub date: &'a str,
    pub needed: NeededBindings<'a>,
    /// The first date that is kept; `None` where nothing is to be written.
    pub base_date: Option<&'a str>,
}

/// What stays of it.
#[derive(Default)]
pub(super) struct CutBase {
    /// The file with these rows; `None` where there are none, or nothing is to be written.
    pub add: Option<Add>,
    pub rows: u64,
}

impl Cut<'_> {
    /// What stays of files of the date; `None` where they are too many to be read at once and were made fewer, so that they are to be
    /// looked for anew.
    ///
    /// # Errors
    /// A file cannot be read, or the new one not be written.
    pub async fn base_of(&self, files: &[Arc<DataFile>], clock: &Clock) -> Result<Option<CutBase>, StoreError> {
        if files.len() > MAX_MERGED_FILES {
            return self.fewer(files.len(), clock).await.map(|()| None);
        }
        let begin = Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", self.date));
        let end = begin.map(|begin| begin.saturating_add_nanos(NANOS_PER_DAY));
        let base = end.and_then(|end| kept_base(self.table, end, self.needed));
        let (Some(mut base), Some(first)) = (base, files.first()) else {
            return Ok(Some(CutBase::default()));
        };
        let bytes = files.iter().map(|file| file.bytes()).sum();
        let rows: u64 = files.iter().filter_map(|file| file.stats.rows).sum();
        let mut merge = Merge::open(
            self.tables,
            self.table,
            files,
            &[],
            batch_rows(bytes, rows, files.len()),
        )
        .await?;
        let mut out = Output {
            cut: self,
            file: None,
            rows: 0,
        };
        let unreadable = |reason: String| unusable(self.table, first, reason);
        while let Some(batch) = merge.next().await? {
            out.write(base.take(&batch).map_err(unreadable)?)?;
        }
        out.write(base.finish().map_err(unreadable)?)?;
        out.put(files, clock.now()).await.map(Some)
    }

    /// Compacts the date.
    async fn fewer(&self, files: usize, clock: &Clock) -> Result<(), StoreError> {
        let is_ours = |date: &str| date == self.date;
        let compacted = compact_dates(self.tables, self.table, &is_ours, clock.now(), &mut |_| ()).await?;
        match compacted.files_made {
            0 => Err(StoreError::Refused {
                table: self.table.name(),
                reason: format!(
                    "the date {} has {files} files, which are too many to be read at once, and they cannot be made fewer: `casebook store verify` says which cannot be read",
                    self.date
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// The file of the base in the making.
struct Output<'a> {
    cut: &'a Cut<'a>,
    file: Option<(DataFileWriter, StatsBuilder)>,
    rows: u64,
}

impl Output<'_> {
    fn write(&mut self, batch: Option<arrow::array::RecordBatch>) -> Result<(), StoreError> {
        let Some(batch) = batch else { return Ok(()) };
        let (table, config) = (self.cut.table, &self.cut.tables.config);
        self.rows += batch.num_rows() as u64;
        if self.cut.base_date.is_none() {
            return Ok(());
        }
        let (writer, stats) = match &mut self.file {
            Some(file) => file,
            none => {
                let stats = StatsBuilder::new(TableSchema::of(table).time);
                none.insert((DataFileWriter::new(table, config, batch.num_rows())?, stats))
            }
        };
        kept::note(table, &batch, stats);
        writer.write(&batch)
    }

    async fn put(self, old: &[Arc<DataFile>], now: Timestamp) -> Result<CutBase, StoreError> {
        let rows = self.rows;
        let (Some((writer, stats)), Some(date)) = (self.file, self.cut.base_date) else {
            return Ok(CutBase { add: None, rows });
        };
        let table = self.cut.table;
        let path = file_name(TableSchema::of(table).partition, date);
        let encoded = writer.finish()?;
        let mut add = put_file(self.cut.tables.files(), table, &path, date, encoded, stats, now).await?;
        add.mark_derived_from(old.iter().map(|file| &file.add));
        Ok(CutBase { add: Some(add), rows })
    }
}
