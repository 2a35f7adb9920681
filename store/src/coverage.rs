//! What an answer could have found: how far each source is known, and what is known to be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::{Source, Timestamp};
use futures::TryStreamExt as _;

use crate::commit::{self, TopicCoverage};
use crate::data_file::{letter_counts, scan};
use crate::limits::MAX_COVERAGE_FILES;
use crate::table::{LetterCounts, SourceCount, SourceTopics};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// How far the events table is known, by its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Each source of which there is an event, by name.
    pub sources: Vec<SourceCoverage>,
    /// What was read since the beginning of the range and could not become an event, by topic and reason.
    pub dead_letters: Vec<DeadLetterCount>,
    /// Dead letters that are counted in none of those, since they are in more than [`MAX_COVERAGE_FILES`] files.
    pub other_dead_letters: u64,
    /// How far each topic is known of which something was ever committed, and that carries a source that is asked for.
    pub topics: Vec<TopicCoverage>,
    /// Files that an older version has written, which do not say what they hold of each source.
    pub uncounted_files: u64,
}

/// How far a source is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCoverage {
    /// Its name.
    pub source: String,
    /// Its events in the files that the range touches: as many as there are in the range, or more.
    pub events: u64,
    /// The time of its first event in the table.
    pub first: Timestamp,
    /// The time of its last event in the table: what happened later is not here, or nothing did.
    pub last: Timestamp,
    /// When the last of them was read.
    pub ingested: Timestamp,
    /// Those of `events` in which a secret was masked: its text cannot be searched for.
    pub masked: u64,
    /// Those of `events` that are audit events without request and response, since the cluster's policy says so.
    pub metadata_only: u64,
    /// Those of `events` that were read more than ten minutes after they happened.
    pub late: u64,
    /// The topics that its events came from; `None` where files do not say that, or they are too many to be named.
    pub topics: Option<Vec<String>>,
    /// At that time, all that those topics held was in the table: the earliest of them.
    pub read_to_end: Option<Timestamp>,
}

/// Dead letters of one topic for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCount {
    /// The topic.
    pub topic: String,
    /// The reason (`docs/dead-letters.md`).
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// When the last of these topics was read to its end; `None` where that is not known of each.
fn earliest(known: &[TopicCoverage], topics: &BTreeSet<Arc<str>>) -> Option<Timestamp> {
    let times = topics.iter().map(|topic| {
        let of_topic = known.iter().find(|known| known.topic == **topic);
        of_topic.and_then(|known| known.read_to_end)
    });
    times.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// How far the sources (all where none is named) are known, for a question about `from` (inclusive) to `to` (exclusive).
///
/// # Errors
/// A log or a file of dead letters cannot be read.
pub(crate) async fn coverage(
    tables: &Tables,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    sources: &[Source],
) -> Result<Coverage, StoreError> {
    let snapshot = tables.events.snapshot().await?;
    let mut coverage = Coverage::default();
    let mut known: BTreeMap<&str, SourceCount> = BTreeMap::new();
    let mut within: BTreeMap<&str, SourceCount> = BTreeMap::new();
    coverage.topics = commit::topics(&snapshot);
    let (mut topics, mut unnamed) = (SourceTopics::default(), BTreeSet::new());
    for file in snapshot.files.values() {
        let Some(counts) = &file.stats.sources else {
            coverage.uncounted_files += 1;
            continue;
        };
        match &file.stats.topics {
            Some(of_file) => topics.join(of_file),
            None => unnamed.extend(counts.0.keys().map(String::as_str)),
        }
        for (source, count) in &counts.0 {
            if !sources.is_empty() && !sources.iter().any(|one| one.name() == source) {
                continue;
            }
            let add = |map: &mut BTreeMap<_, SourceCount>| {
                map.entry(source.as_str())
                    .and_modify(|known| known.add(count))
                    .or_insert(*count);
            };
            add(&mut known);
            if from.is_none_or(|from| count.last >= from) && to.is_none_or(|to| count.first < to) {
                add(&mut within);
            }
        }
    }
    coverage.sources = known
        .into_iter()
        .map(|(source, count)| {
            let asked = within.get(source);
            let topics = match topics.0.get(source) {
                Some(Some(topics)) if !unnamed.contains(source) => Some(topics),
                _ => None,
            };
            let number = |of: fn(&SourceCount) -> u64| asked.map_or(0, of);
            SourceCoverage {
                source: source.to_owned(),
                events: number(|count| count.rows),
                first: count.first,
                last: count.last,
                ingested: count.ingested,
                masked: number(|count| count.masked),
                metadata_only: number(|count| count.metadata_only),
                late: number(|count| count.late),
                read_to_end: topics.and_then(|topics| earliest(&coverage.topics, topics)),
                topics: topics.map(|topics| topics.iter().map(ToString::to_string).collect()),
            }
        })
        .collect();
    if !sources.is_empty() {
        retain_topics(&mut coverage);
    }
    count_dead_letters(tables, from, &mut coverage).await?;
    Ok(coverage)
}

/// Leaves out topics that carry none of the sources.
fn retain_topics(coverage: &mut Coverage) {
    let topics = coverage.sources.iter().filter_map(|one| one.topics.as_ref());
    let carrying: BTreeSet<&String> = topics.flatten().collect();
    coverage.topics.retain(|topic| carrying.contains(&topic.topic));
}

/// What is read before the range begins cannot be of it, unless a clock is wrong.
async fn count_dead_letters(
    tables: &Tables,
    from: Option<Timestamp>,
    coverage: &mut Coverage,
) -> Result<(), StoreError> {
    let snapshot = tables.dead_letters.snapshot().await?;
    let mut counts = LetterCounts::default();
    // The newest first: what is not read is the oldest.
    let of_range = snapshot
        .files
        .values()
        .rev()
        .filter(|file| file.stats.may_hold_time(from, None));
    for (n, file) in of_range.enumerate() {
        if n >= MAX_COVERAGE_FILES {
            coverage.other_dead_letters += file.stats.rows.unwrap_or(0);
            continue;
        }
        if let Some(of_file) = &file.stats.letters {
            counts.join(of_file);
            continue;
        }
        let mut batches = scan(tables.files(), TableName::DeadLetters, file, &["topic", "reason"]).await?;
        while let Some(batch) = batches.try_next().await? {
            counts.join(&letter_counts(&batch));
        }
    }
    let of_topic = |(topic, reasons): (String, BTreeMap<String, u64>)| {
        reasons.into_iter().map(move |(reason, count)| DeadLetterCount {
            topic: topic.clone(),
            reason,
            count,
        })
    };
    coverage.dead_letters = counts.0.into_iter().flat_map(of_topic).collect();
    Ok(())
}
