//! One data file, read whole and compared with what the log says of it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use casebook_event::{Alert, Event, Timestamp};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};

use super::keys::Keys;
use super::problem::{Problem, RESTORE};
use crate::data_file::{EventColumns, date_text, letter_counts, scan_whole};
use crate::schema::TableSchema;
use crate::table::{DataFile, LetterCounts};
use crate::tables::Tables;
use crate::{StoreError, TableName, kept};

/// Rows of a batch that is read: records may have a megabyte.
const BATCH_ROWS: usize = 1024;

/// Rows of a file that its index is asked for.
const SAMPLED_ROWS: u64 = 100;

/// What to do about a file that does not have what the log says.
const ANOTHER: &str = "the file is not the one that was committed: restore it from a backup";

/// What to do about rows that are not where a search looks for them.
const MISPLACED: &str =
    "searches may leave the file out: report how it was written; search with no time and no --source finds its rows";

/// What to do about a number that is wrong in the log alone.
const MISCOUNTED: &str = "answers count it as the log does, and no row is lost: report how the file was written";

/// What was found in one file.
pub(super) struct FileFindings {
    pub problems: Vec<Problem>,
    pub rows: u64,
    /// Whether every byte of the data could be read.
    pub read_whole: bool,
    /// Some of its rows, with their numbers.
    pub samples: Vec<(u32, Event)>,
}

/// What is reported of a file at most once, with the first row at which it was met.
struct Notes<'a> {
    table: TableName,
    file: &'a DataFile,
    problems: Vec<(String, Problem)>,
}

impl Notes<'_> {
    fn note(&mut self, kind: &str, remedy: &'static str, problem: impl FnOnce() -> String) {
        if !self.problems.iter().any(|(known, _)| known == kind) {
            let problem = Problem::new(self.table, self.file, problem(), remedy);
            self.problems.push((kind.to_owned(), problem));
        }
    }
}

pub(super) async fn verify_file(
    tables: &Tables,
    table: TableName,
    file: &Arc<DataFile>,
) -> Result<FileFindings, StoreError> {
    let mut notes = Notes {
        table,
        file,
        problems: Vec::new(),
    };
    let mut found = FileFindings {
        problems: Vec::new(),
        rows: 0,
        read_whole: false,
        samples: Vec::new(),
    };
    let path = Path::from(format!("{}/{}", table.name(), file.path));
    match tables.files().head(&path).await {
        Ok(meta) if meta.size == file.add.size.unsigned_abs() => {}
        Ok(meta) => notes.note("size", RESTORE, || {
            format!("it has {} bytes, the log says {}", meta.size, file.add.size)
        }),
        Err(ObjectError::NotFound { .. }) => notes.note("missing", RESTORE, || "it is missing".into()),
        Err(error) => notes.note("head", "see whether the place can be reached", || {
            format!("cannot look for it: {error}")
        }),
    }
    // The end of a file of another size is not where it is expected.
    if notes.problems.is_empty() {
        match read_file(tables, table, file, &mut notes, &mut found).await {
            Ok(()) => found.read_whole = true,
            Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
            Err(error) => {
                let problem = Problem::unreadable(table, file, &error);
                notes.problems.push(("read".into(), problem));
            }
        }
    }
    found.problems = notes.problems.into_iter().map(|(_, problem)| problem).collect();
    Ok(found)
}

async fn read_file(
    tables: &Tables,
    table: TableName,
    file: &DataFile,
    notes: &mut Notes<'_>,
    found: &mut FileFindings,
) -> Result<(), StoreError> {
    let mut batches = scan_whole(tables.files(), table, file, BATCH_ROWS).await?;
    let stride = file.stats.rows.map_or(1, |rows| rows.div_ceil(SAMPLED_ROWS)).max(1);
    let mut last: Option<(Keys, usize)> = None;
    let mut letters = LetterCounts::default();
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let first_row = found.rows;
        found.rows += batch.num_rows() as u64;
        check_times(table, file, &batch, first_row, notes);
        check_texts(file, &batch, first_row, notes);
        match table {
            TableName::Alerts => check_alerts(&batch, first_row, notes),
            TableName::DeadLetters => letters.join(&letter_counts(&batch)),
            TableName::Events | TableName::Signals | TableName::Bindings => {
                let Some(keys) = Keys::of(table, &batch) else {
                    notes.note("columns", ANOTHER, || {
                        "a column that its rows are sorted by is missing".into()
                    });
                    continue;
                };
                let follows = last
                    .as_ref()
                    .is_none_or(|(before, row)| keys.compare(0, before, *row).is_ge());
                if let Some(row) = if follows { keys.first_unsorted() } else { Some(0) } {
                    notes.note("order", "casebook store compact sorts the rows of small files", || {
                        let order = match table {
                            TableName::Events => "source, time and position",
                            _ => "key, time and the other columns",
                        };
                        format!("row {} is not in the order of {order}", first_row + row as u64)
                    });
                }
                last = Some((keys, batch.num_rows() - 1));
                match table {
                    TableName::Events => check_events(&batch, first_row, stride, notes, &mut found.samples),
                    _ => check_kept(table, &batch, first_row, notes),
                }
            }
        }
    }
    check_letters(file, &letters, notes);
    match file.stats.rows {
        Some(rows) if rows == found.rows => {}
        Some(rows) => notes.note("rows", ANOTHER, || {
            format!("it has {} rows, the log says {rows}", found.rows)
        }),
        None => notes.note("stats", "every search reads the file: nothing is lost", || {
            "the log does not say how many rows it has".into()
        }),
    }
    Ok(())
}

/// Every event can be read; takes every `stride`th.
fn check_events(
    batch: &RecordBatch,
    first_row: u64,
    stride: u64,
    notes: &mut Notes<'_>,
    samples: &mut Vec<(u32, Event)>,
) {
    let columns = EventColumns::new(batch);
    let ids = batch
        .column_by_name("event_id")
        .and_then(|column| column.as_string_opt::<i32>());
    for row in 0..batch.num_rows() {
        let number = first_row + row as u64;
        let id = ids.map(|ids| ids.value(row)).unwrap_or_default();
        if id.len() != 32 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            notes.note("id", ANOTHER, || {
                format!("row {number} has no event id of 32 hexadecimal digits")
            });
        }
        match columns.event(row) {
            Ok(event) if number.is_multiple_of(stride) => {
                if let Ok(number) = u32::try_from(number) {
                    samples.push((number, event));
                }
            }
            Ok(_) => {}
            Err(reason) => notes.note(
                "source",
                "read it with the version that wrote it, or a newer one",
                || format!("row {number}: {reason}"),
            ),
        }
    }
}

/// Every match, window or binding can be read.
fn check_kept(table: TableName, batch: &RecordBatch, first_row: u64, notes: &mut Notes<'_>) {
    if let Err((row, reason)) = kept::check_rows(table, batch) {
        notes.note("row", "read it with the version that wrote it, or a newer one", || {
            format!("row {}: {reason}", first_row + row as u64)
        });
    }
}

fn check_alerts(batch: &RecordBatch, first_row: u64, notes: &mut Notes<'_>) {
    let text = |name: &str| {
        batch
            .column_by_name(name)
            .and_then(|column| column.as_string_opt::<i32>())
    };
    let (Some(ids), Some(alerts)) = (text("id"), text("alert")) else {
        return notes.note("columns", ANOTHER, || "the column `id` or `alert` is missing".into());
    };
    for (row, (id, alert)) in ids.iter().zip(alerts).enumerate() {
        let number = first_row + row as u64;
        match serde_json::from_str::<Alert>(alert.unwrap_or_default()) {
            Ok(alert) if Some(alert.alert.id.as_str()) == id => {}
            Ok(_) => notes.note("id", ANOTHER, || format!("row {number} has the alert of another id")),
            Err(error) => notes.note("alert", ANOTHER, || format!("row {number} has no alert: {error}")),
        }
    }
}

/// Dead letters are as many of each topic and reason as the log says, where it says that.
fn check_letters(file: &DataFile, found: &LetterCounts, notes: &mut Notes<'_>) {
    let Some(counts) = &file.stats.letters else { return };
    let of = |counts: &LetterCounts, topic: &String, reason: &String| {
        let count = counts.0.get(topic).and_then(|reasons| reasons.get(reason));
        count.copied().unwrap_or(0)
    };
    for (topic, reasons) in found.0.iter().chain(&counts.0) {
        for reason in reasons.keys() {
            let (rows, says) = (of(found, topic, reason), of(counts, topic, reason));
            if rows != says {
                notes.note("letters", MISCOUNTED, || {
                    format!("it has {rows} dead letters of `{topic}` for `{reason}`, the log says {says}")
                });
            }
        }
    }
}

/// Times are those of the partition's date, and within the bounds of the log.
fn check_times(table: TableName, file: &DataFile, batch: &RecordBatch, first_row: u64, notes: &mut Notes<'_>) {
    let name = TableSchema::of(table).time;
    let micros = batch
        .column_by_name(name)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let Some(micros) = micros else {
        return notes.note("columns", ANOTHER, || format!("the column `{name}` is missing"));
    };
    let nanos = batch
        .column_by_name("time_nanos")
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    let date = file.date(table);
    let mut good_day = None;
    for row in 0..batch.num_rows() {
        let number = first_row + row as u64;
        let coarse = micros.value(row);
        let time = Timestamp::from_nanos(nanos.map_or(coarse.saturating_mul(1_000), |nanos| nanos.value(row)));
        if time.as_nanos().div_euclid(1_000) != coarse {
            notes.note("nanos", ANOTHER, || {
                format!("row {number} has two times: `time_nanos` is {time}")
            });
        }
        if !file.stats.may_hold_time(Some(time), Some(time.saturating_add_nanos(1))) {
            notes.note("bounds", MISPLACED, || {
                format!("row {number} has the time {time}, which is not within the bounds of the log")
            });
        }
        if good_day == Some(time.days()) {
            continue;
        }
        let of = date_text(time);
        // The base of a cut stands in the first date that is kept.
        if of == date || (table.derived_version().is_some() && of.as_str() < date) {
            good_day = Some(time.days());
        } else {
            notes.note("date", MISPLACED, || {
                format!("row {number} has the time {time}, which is not of the date {date}")
            });
        }
    }
}

/// Texts are within the bounds of the log.
fn check_texts(file: &DataFile, batch: &RecordBatch, first_row: u64, notes: &mut Notes<'_>) {
    for name in file.stats.bounded_columns() {
        let column = batch
            .column_by_name(name)
            .and_then(|column| column.as_string_opt::<i32>());
        let Some(column) = column else { continue };
        let outside =
            (0..column.len()).find(|&row| column.is_valid(row) && !file.stats.may_hold(name, column.value(row)));
        if let Some(row) = outside {
            notes.note(name, MISPLACED, || {
                format!(
                    "row {} has `{name}` = `{}`, which is not within the bounds of the log",
                    first_row + row as u64,
                    column.value(row)
                )
            });
        }
    }
}
