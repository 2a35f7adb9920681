//! The latest revisions of alerts: where they are, by the narrow columns alone, and reading them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use casebook_event::{Alert, AlertStatus, Level};
use futures::TryStreamExt;

use super::encode::status_name;
use super::filter::AlertFilter;
use crate::data_file::{micros, scan, scan_rows, select};
use crate::error::BoxError;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Where the latest revision of an alert is, and what a filter tests of it.
pub(super) struct Latest {
    revision: i32,
    file: usize,
    row: u32,
    pub micros: i64,
    status: String,
    rule_id: String,
    level: String,
}

/// The columns that say which alerts to read.
struct NarrowColumns<'a> {
    id: &'a StringArray,
    revision: &'a Int32Array,
    status: &'a StringArray,
    time: &'a TimestampMicrosecondArray,
    rule_id: &'a StringArray,
    level: &'a StringArray,
}

impl<'a> NarrowColumns<'a> {
    fn new(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        Some(Self {
            id: text("id")?,
            revision: batch.column_by_name("revision")?.as_primitive_opt()?,
            status: text("status")?,
            time: batch.column_by_name("time")?.as_primitive_opt()?,
            rule_id: text("rule_id")?,
            level: text("level")?,
        })
    }

    fn latest(&self, row: usize, file: usize, number: u32) -> Latest {
        Latest {
            revision: self.revision.value(row),
            file,
            row: number,
            micros: self.time.value(row),
            status: self.status.value(row).to_owned(),
            rule_id: self.rule_id.value(row).to_owned(),
            level: self.level.value(row).to_owned(),
        }
    }
}

impl Latest {
    /// Whether a filter may admit the alert, by its time in microseconds and what else is in columns.
    pub fn may_pass(&self, filter: &AlertFilter) -> bool {
        filter.from.is_none_or(|from| self.micros >= micros(from))
            && filter.to.is_none_or(|to| self.micros <= micros(to))
            && filter.rule_id.as_ref().is_none_or(|rule| self.rule_id == *rule)
            && filter
                .min_level
                .is_none_or(|level| self.level.parse::<Level>().is_ok_and(|own| own >= level))
            && (filter.include_withdrawn || self.status != status_name(AlertStatus::Withdrawn))
    }
}

/// Where the latest revision of each id is, by the narrow columns alone. Files are never left out by time: a
/// revision may have moved its alert to another one.
pub(super) async fn latest(
    tables: &Tables,
    files: &[Arc<DataFile>],
    id_wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Latest>, StoreError> {
    let mut latest: BTreeMap<String, Latest> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        let columns = ["id", "revision", "status", "time", "rule_id", "level"];
        let mut batches = scan(tables.files(), TableName::Alerts, file, &columns).await?;
        let mut position = 0;
        while let Some(batch) = batches.try_next().await? {
            let Some(columns) = NarrowColumns::new(&batch) else {
                return Err(unreadable(&file.path, "a column is missing or of another type"));
            };
            for row in 0..batch.num_rows() {
                let id = columns.id.value(row);
                let revision = columns.revision.value(row);
                if id_wanted(id) && latest.get(id).is_none_or(|known| known.revision < revision) {
                    latest.insert(id.to_owned(), columns.latest(row, number, position));
                }
                position += 1;
            }
        }
    }
    Ok(latest)
}

/// Reads the alerts themselves.
pub(super) async fn read_alerts(
    tables: &Tables,
    files: &[Arc<DataFile>],
    wanted: Vec<Latest>,
) -> Result<Vec<Alert>, StoreError> {
    let mut by_file: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for latest in wanted {
        by_file.entry(latest.file).or_default().insert(latest.row);
    }
    let mut alerts = Vec::new();
    for (file, rows) in by_file {
        let Some(file) = files.get(file) else { continue };
        let selection = select(rows);
        let mut batches = scan_rows(tables.files(), TableName::Alerts, file, &["alert"], selection).await?;
        while let Some(batch) = batches.try_next().await? {
            let Some(texts) = batch.column(0).as_string_opt::<i32>() else {
                return Err(unreadable(&file.path, "the column `alert` is no text"));
            };
            for text in texts.iter().flatten() {
                let alert = serde_json::from_str(text).map_err(|error| unreadable(&file.path, error))?;
                alerts.push(alert);
            }
        }
    }
    Ok(alerts)
}

fn unreadable(path: &str, reason: impl Into<BoxError>) -> StoreError {
    StoreError::File {
        table: "alerts",
        action: "read",
        path: path.to_owned(),
        source: reason.into(),
    }
}
