//! What a search has found, read from the files that hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Event, FieldId, Timestamp};
use futures::TryStreamExt;

use super::answer::UnreadableFile;
use super::each_file::each_file;
use super::scan_file::unreadable;
use crate::data_file::{EventColumns, scan_rows, select};
use crate::row_set::RowSet;
use crate::schema::TableSchema;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// A match: its time, and its row.
pub(super) type Hit = (Timestamp, u32);

/// The columns of a file of events.
pub(super) fn every_column() -> Vec<&'static str> {
    let fields = TableSchema::of(TableName::Events).file.fields().iter();
    fields.map(|field| field.name().as_str()).collect()
}

/// The columns of these fields, and those that say which event it is.
pub(super) fn columns_of(fields: &[FieldId]) -> Vec<&'static str> {
    let own = [
        "event_id",
        "time_nanos",
        "ingested",
        "source",
        "kafka_topic",
        "kafka_partition",
        "kafka_offset",
        "kafka_index",
    ];
    let fields = fields.iter().map(|field| field.info().column);
    own.into_iter().chain(fields).collect()
}

/// The events of the hits, each with the number of its file, with these columns and in the order of the hits. What is in a
/// file that cannot be read is left out.
pub(super) async fn read_hits(
    tables: &Arc<Tables>,
    files: &[Arc<DataFile>],
    hits: Vec<(usize, Hit)>,
    columns: Vec<&'static str>,
) -> Result<(Vec<Event>, Vec<UnreadableFile>), StoreError> {
    let mut by_file: BTreeMap<usize, Vec<(u32, usize)>> = BTreeMap::new();
    for (position, (file, (_, row))) in hits.iter().enumerate() {
        by_file.entry(*file).or_default().push((*row, position));
    }
    by_file.values_mut().for_each(|wanted| wanted.sort_unstable());
    let wanted_files: Vec<Arc<DataFile>> = by_file.keys().filter_map(|file| files.get(*file)).cloned().collect();
    let rows_of = |wanted: &Vec<(u32, usize)>| wanted.iter().map(|(row, _)| *row).collect::<Vec<u32>>();
    let by_path: BTreeMap<String, Vec<u32>> = by_file
        .iter()
        .filter_map(|(file, wanted)| Some((files.get(*file)?.path.clone(), rows_of(wanted))))
        .collect();
    let (by_path, columns) = (Arc::new(by_path), Arc::new(columns));
    let mut read = std::pin::pin!(each_file(tables, &wanted_files, move |store, file| {
        let (by_path, columns) = (by_path.clone(), columns.clone());
        async move {
            let rows = by_path.get(&file.path).map_or(&[][..], Vec::as_slice);
            read_rows(&store, &file, rows, &columns).await
        }
    }));
    let mut found: Vec<Option<Event>> = vec![None; hits.len()];
    let mut not_read = Vec::new();
    for wanted in by_file.values() {
        match read.try_next().await? {
            Some(Ok(events)) => {
                for ((_, position), event) in wanted.iter().zip(events) {
                    found[*position] = Some(event);
                }
            }
            Some(Err(file)) => not_read.push(file),
            None => break,
        }
    }
    Ok((found.into_iter().flatten().collect(), not_read))
}

/// Reads the events of one file at these rows, which ascend.
async fn read_rows(tables: &Tables, file: &DataFile, rows: &[u32], columns: &[&str]) -> Result<Vec<Event>, StoreError> {
    let mut set = RowSet::none(rows.last().map_or(0, |row| row + 1));
    rows.iter().for_each(|row| set.insert(*row));
    let mut events = Vec::with_capacity(rows.len());
    let mut batches = scan_rows(tables.files(), TableName::Events, file, columns, select(set.iter())).await?;
    while let Some(batch) = batches.try_next().await? {
        let columns = EventColumns::new(&batch);
        for row in 0..batch.num_rows() {
            events.push(columns.event(row).map_err(|reason| unreadable(file, reason))?);
        }
    }
    Ok(events)
}
