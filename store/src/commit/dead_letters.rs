//! Dead letters into their table, ahead of the commit of the events that were read with them.

use std::collections::BTreeMap;

use casebook_event::{CheckpointDelta, DeadLetter, Partition, Timestamp};

use super::offsets::{committed_offsets, txns_forward};
use crate::data_file::{DataFileWriter, date_text, dead_letters, file_name, letter_counts, put_file};
use crate::limits::MAX_LETTER_BATCH_BYTES;
use crate::schema::TableSchema;
use crate::table::{Add, Proposal, Snapshot, StatsBuilder};
use crate::tables::Tables;
use crate::{CommitError, StoreError, TableName};

/// Puts the letters that the table does not have yet into it. Letters of an offset below the partition's own in
/// this table came with an earlier attempt at the same records.
pub(super) async fn commit_dead_letters(
    tables: &Tables,
    group: &str,
    letters: &[DeadLetter],
    checkpoint: &CheckpointDelta,
    now: Timestamp,
) -> Result<(), CommitError> {
    let table = &tables.dead_letters;
    loop {
        let snapshot = table.snapshot().await?;
        let before = committed_offsets(&snapshot, group, checkpoint);
        drop(snapshot);
        let new: Vec<&DeadLetter> = letters
            .iter()
            .filter(|letter| {
                let partition = Partition::new(letter.position.topic.clone(), letter.position.partition);
                before
                    .get(&partition)
                    .copied()
                    .flatten()
                    .is_none_or(|next| letter.position.offset >= next)
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let adds = write_dead_letters(tables, &new, now).await?;
        let written: Vec<String> = adds.iter().map(|add| add.path.clone()).collect();
        let proposal = Proposal {
            adds,
            removes: Vec::new(),
            txns: txns_forward(group, checkpoint, &before, now),
            domains: Vec::new(),
            now,
        };
        let unchanged = |snapshot: &Snapshot| {
            let found = committed_offsets(snapshot, group, checkpoint);
            match found
                .iter()
                .find(|(partition, next)| before.get(partition) != Some(next))
            {
                None => Ok(()),
                Some((partition, next)) => Err(CommitError::Fenced {
                    partition: partition.clone(),
                    expected: before.get(partition).copied().flatten().unwrap_or_default(),
                    found: next.unwrap_or_default(),
                }),
            }
        };
        match table.commit(proposal, &unchanged).await {
            Ok(_) => return Ok(()),
            // Another worker has moved on meanwhile: what remains to be written is decided anew.
            Err(CommitError::Fenced { .. }) => tables.discard(TableName::DeadLetters, &written).await,
            Err(error) => return Err(error),
        }
    }
}

async fn write_dead_letters(tables: &Tables, letters: &[&DeadLetter], now: Timestamp) -> Result<Vec<Add>, StoreError> {
    let mut dates: BTreeMap<i32, Vec<&DeadLetter>> = BTreeMap::new();
    for letter in letters {
        dates.entry(letter.ingested.days()).or_default().push(letter);
    }
    let mut adds = Vec::new();
    for letters in dates.into_values() {
        let Some(date) = letters.first().map(|letter| date_text(letter.ingested)) else {
            continue;
        };
        let mut stats = StatsBuilder::new("ingested");
        for letter in &letters {
            stats.row(letter.ingested);
            stats.text("topic", &letter.position.topic);
            stats.text("reason", letter.reason);
        }
        let mut writer = DataFileWriter::new(TableName::DeadLetters, &tables.config, letters.len())?;
        for chunk in chunks_of(&letters) {
            let batch = dead_letters(chunk)?;
            stats.letters(&letter_counts(&batch));
            writer.write(&batch)?;
        }
        let path = file_name(TableSchema::of(TableName::DeadLetters).partition, &date);
        let encoded = writer.finish()?;
        adds.push(
            put_file(
                &tables.location.files,
                TableName::DeadLetters,
                &path,
                &date,
                encoded,
                stats,
                now,
            )
            .await?,
        );
    }
    Ok(adds)
}

/// Letters in runs whose payloads fit into one column in memory.
fn chunks_of<'a, 'b>(letters: &'b [&'a DeadLetter]) -> impl Iterator<Item = &'b [&'a DeadLetter]> {
    let mut rest = letters;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let count = rest.iter().take_while(|letter| {
            let first = bytes == 0;
            bytes += letter.payload.len() + letter.detail.len() + 1;
            first || bytes <= MAX_LETTER_BATCH_BYTES
        });
        let (chunk, after) = rest.split_at(count.count());
        rest = after;
        (!chunk.is_empty()).then_some(chunk)
    })
}
