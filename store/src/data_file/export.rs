//! Events for somebody else: a Parquet file of their own, in the columns of the events table.

use casebook_event::Event;

use super::encode;
use super::writer::DataFileWriter;
use crate::{StoreConfig, StoreError, TableName};

/// Rows of one record batch.
const BATCH_ROWS: usize = 8 * 1024;

/// A Parquet file that holds these events, in this order.
///
/// # Errors
/// They cannot be encoded.
pub fn to_parquet(events: &[Event]) -> Result<Vec<u8>, StoreError> {
    let mut writer = DataFileWriter::new(TableName::Events, &StoreConfig::default(), events.len())?;
    for chunk in events.chunks(BATCH_ROWS) {
        let events: Vec<&Event> = chunk.iter().collect();
        writer.write(&encode::events(&events)?)?;
    }
    Ok(writer.finish()?.bytes)
}
