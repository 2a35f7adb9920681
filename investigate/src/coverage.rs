//! What an answer could have found: how far each source is known, and what is known to be missing.

use casebook_event::Timestamp;
use casebook_store as store;
use serde::Serialize;

/// A source of which nothing was read for so long may have more of what is asked up to now.
const STALE_NANOS: i64 = 10 * 60 * 1_000_000_000;
/// A topic that was seen so long before the others is read no more.
const GONE_NANOS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// How far the store is known, for a question about a range of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Events at or after this time were asked for.
    pub from: Option<Timestamp>,
    /// Events before this time were asked for.
    pub to: Option<Timestamp>,
    /// When it was asked.
    pub asked: Timestamp,
    /// Each source of which there is an event, by name.
    pub sources: Vec<Source>,
    /// Each topic of which something was ever committed, and that carries a source that is asked for.
    pub topics: Vec<Topic>,
    /// What was read since the beginning of the range and could not become an event, by topic and reason.
    pub dead_letters: Vec<DeadLetters>,
    /// Dead letters that are in none of those, since they are in too many files.
    pub other_dead_letters: u64,
    /// Data files that could not be read: the answer lacks what they hold.
    pub unreadable_files: Vec<UnreadableFile>,
    /// Files of an older version, which do not say what they hold of each source.
    pub uncounted_files: u64,
    /// Files without a usable index, of which every row was read.
    pub unindexed_files: u64,
    /// What a bound of this program left out of the answer.
    pub dropped: Vec<Dropped>,
    /// What the answer may lack, as far as tables and logs show. Unreadable files and what was dropped are not repeated here.
    pub gaps: Vec<Gap>,
    /// Why nothing of the above is known, where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// How far a source is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its name.
    pub source: String,
    /// All that its topics held at that time is in the tables.
    pub complete_until: Option<Timestamp>,
    /// The time of its first event in the table.
    pub first: Timestamp,
    /// The time of its last event in the table.
    pub last: Timestamp,
    /// When the last of its events was read.
    pub ingested: Timestamp,
    /// Its events in the files that the range touches: as many as there are in the range, or more.
    pub events: u64,
    /// Those of `events` that were read more than ten minutes after they happened.
    pub late: u64,
    /// Those of `events` in which a secret was masked: its text cannot be searched for.
    pub masked: u64,
    /// Those of `events` whose request and response were not logged, since the cluster's policy says so.
    pub not_logged: u64,
}

/// How far a topic is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// All that it held at that time is in the tables.
    pub complete_until: Option<Timestamp>,
    /// When something of it was committed last.
    pub committed: Option<Timestamp>,
}

/// Records of one topic that could not become events, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetters {
    /// The topic.
    pub topic: String,
    /// The reason (`docs/dead-letters.md`).
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// A data file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableFile {
    /// The file, relative to its table.
    pub path: String,
    /// Why not.
    pub reason: String,
}

/// What a bound of this program left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Dropped {
    /// Of the events, only the newest were read.
    Events {
        /// So many.
        limit: u64,
    },
    /// Of the events that say what an entity is also called, only the newest were read.
    Bindings {
        /// So many.
        limit: u64,
    },
    /// The entity has more names than one query takes.
    Names,
    /// Of the events that match, only the newest were sorted.
    Sorted {
        /// So many.
        limit: u64,
    },
}

/// What an answer may lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Gap {
    /// A source is not known as far as was asked.
    Source {
        /// Its name.
        source: String,
        /// The time of its last event.
        last: Timestamp,
    },
    /// A topic is not read to its end, or not of late.
    Topic {
        /// Its name.
        topic: String,
        /// When it was last read to its end; `None` where that is not known.
        complete_until: Option<Timestamp>,
    },
    /// Records could not be decoded.
    DeadLetters {
        /// How many.
        count: u64,
    },
    /// Files of an older version do not say what they hold.
    UncountedFiles {
        /// How many.
        count: u64,
    },
}

impl Coverage {
    /// What the store says of a range of time, for a question that is asked `now`.
    pub fn new(found: store::Coverage, from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> Self {
        let mut gaps: Vec<Gap> = Vec::new();
        let stale = found.sources.iter().filter(|source| is_stale(source, to, now));
        gaps.extend(stale.map(|source| Gap::Source {
            source: source.source.clone(),
            last: source.last,
        }));
        gaps.extend(unread_topics(&found, to, now));
        let letters = found.dead_letters.iter().map(|one| one.count).sum::<u64>() + found.other_dead_letters;
        gaps.extend((letters > 0).then_some(Gap::DeadLetters { count: letters }));
        let count = found.uncounted_files;
        gaps.extend((count > 0).then_some(Gap::UncountedFiles { count }));
        Self {
            from,
            to,
            asked: now,
            sources: found.sources.into_iter().map(Source::from).collect(),
            topics: found.topics.into_iter().map(Topic::from).collect(),
            dead_letters: found.dead_letters.into_iter().map(DeadLetters::from).collect(),
            other_dead_letters: found.other_dead_letters,
            uncounted_files: found.uncounted_files,
            gaps,
            ..Self::default()
        }
    }

    /// That nothing is known of it, and why.
    pub fn unknown(reason: String, from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            from,
            to,
            asked: now,
            unknown: Some(reason),
            ..Self::default()
        }
    }
}

impl From<store::SourceCoverage> for Source {
    fn from(found: store::SourceCoverage) -> Self {
        Self {
            source: found.source,
            complete_until: found.read_to_end,
            first: found.first,
            last: found.last,
            ingested: found.ingested,
            events: found.events,
            late: found.late,
            masked: found.masked,
            not_logged: found.metadata_only,
        }
    }
}

impl From<store::TopicCoverage> for Topic {
    fn from(found: store::TopicCoverage) -> Self {
        Self {
            topic: found.topic,
            complete_until: found.read_to_end,
            committed: found.committed,
        }
    }
}

impl From<store::DeadLetterCount> for DeadLetters {
    fn from(found: store::DeadLetterCount) -> Self {
        Self {
            topic: found.topic,
            reason: found.reason,
            count: found.count,
        }
    }
}

impl From<&store::UnreadableFile> for UnreadableFile {
    fn from(file: &store::UnreadableFile) -> Self {
        Self {
            path: file.path.clone(),
            reason: file.reason.clone(),
        }
    }
}

/// The topics that the answer is about and that are not read to their ends, or not of late.
fn unread_topics(found: &store::Coverage, to: Option<Timestamp>, now: Timestamp) -> Vec<Gap> {
    // A store of a version that does not record it says nothing of any.
    if found.topics.iter().all(|topic| topic.read_to_end.is_none()) {
        return Vec::new();
    }
    let asked = to.map_or(now, |to| to.min(now));
    let newest = found.topics.iter().filter_map(last_seen).max();
    let unread = found.topics.iter().filter(|topic| {
        // A topic that is not read any more is none of which more is to come.
        let is_gone = last_seen(topic)
            .zip(newest)
            .is_some_and(|(seen, newest)| seen.saturating_add_nanos(GONE_NANOS) < newest);
        let is_read = topic
            .read_to_end
            .is_some_and(|at| at.saturating_add_nanos(STALE_NANOS) >= asked);
        !is_gone && !is_read
    });
    unread
        .map(|topic| Gap::Topic {
            topic: topic.topic.clone(),
            complete_until: topic.read_to_end,
        })
        .collect()
}

/// When something of a topic was known last.
fn last_seen(topic: &store::TopicCoverage) -> Option<Timestamp> {
    topic.read_to_end.max(topic.committed)
}

/// Whether what is asked for goes beyond what is known of a source. A source of which nothing comes is known as far as its topics
/// are read: that nothing was sent is known then, though not why.
fn is_stale(source: &store::SourceCoverage, to: Option<Timestamp>, now: Timestamp) -> bool {
    let asked = to.map_or(now, |to| to.min(now));
    if source
        .read_to_end
        .is_some_and(|at| at.saturating_add_nanos(STALE_NANOS) >= asked)
    {
        return false;
    }
    match to.filter(|to| *to < now) {
        Some(to) => source.last.saturating_add_nanos(STALE_NANOS) < to && source.ingested < to,
        None => now.as_nanos().saturating_sub(source.ingested.as_nanos()) > STALE_NANOS,
    }
}

#[cfg(test)]
mod tests {
    use casebook_store::{SourceCoverage, TopicCoverage};

    use super::*;

    #[test]
    fn a_topic_that_is_not_read_is_named_and_one_that_is_gone_is_not() {
        let at = Timestamp::from_seconds;
        let topic = |name: &str, read_to_end: Option<i64>, committed: i64| TopicCoverage {
            topic: name.into(),
            partitions: 1,
            read_to_end: read_to_end.map(at),
            committed: Some(at(committed)),
        };
        let found = store::Coverage {
            topics: vec![
                topic("quiet", Some(1_999_990), 5),
                topic("dead", Some(1_990_000), 1_990_000),
                topic("full", None, 1_999_990),
                topic("gone", Some(1_000_000), 1_000_000),
            ],
            ..store::Coverage::default()
        };
        let gap = |topic: &str, complete_until: Option<i64>| Gap::Topic {
            topic: topic.to_owned(),
            complete_until: complete_until.map(at),
        };
        let gaps = Coverage::new(found.clone(), None, None, at(2_000_000)).gaps;
        assert_eq!(gaps, [gap("dead", Some(1_990_000)), gap("full", None)]);
        // What is over by then is known of all but the one that never was read to its end.
        let gaps = Coverage::new(found, None, Some(at(1_990_100)), at(2_000_000)).gaps;
        assert_eq!(gaps, [gap("full", None)]);
    }

    #[test]
    fn a_source_is_stale_where_more_is_asked_for_than_is_known() {
        let at = Timestamp::from_seconds;
        let source = |last: i64, ingested: i64| SourceCoverage {
            source: "auth".into(),
            events: 1,
            first: at(0),
            last: at(last),
            ingested: at(ingested),
            masked: 0,
            metadata_only: 0,
            late: 0,
            topics: None,
            read_to_end: None,
        };
        let now = at(10_000);
        let check = |last, ingested, to: Option<i64>, want| {
            assert_eq!(
                is_stale(&source(last, ingested), to.map(at), now),
                want,
                "{last} {ingested} {to:?}"
            );
        };
        // Up to now: what counts is when it was last read.
        check(9_990, 9_995, None, false);
        check(9_990, 9_000, None, true);
        check(9_990, 9_000, Some(20_000), true);
        // Up to a time that is over: read after it, or with events until near it.
        check(4_000, 9_000, Some(5_000), false);
        check(4_900, 4_950, Some(5_000), false);
        check(4_000, 4_950, Some(5_000), true);
        // It sends nothing for hours, and its topic is read to the end all the while: then nothing was sent.
        let quiet = |read_to_end: i64| SourceCoverage {
            read_to_end: Some(at(read_to_end)),
            ..source(1_000, 1_000)
        };
        assert!(!is_stale(&quiet(9_990), None, now));
        assert!(is_stale(&quiet(5_000), None, now), "nobody has read on since");
        assert!(!is_stale(&quiet(5_000), Some(at(5_000)), now));
    }

    #[test]
    fn gaps_are_named_in_json() {
        let gap = Gap::DeadLetters { count: 3 };
        assert_eq!(
            serde_json::to_string(&gap).unwrap(),
            r#"{"what":"dead_letters","count":3}"#
        );
        let dropped = Dropped::Events { limit: 5 };
        assert_eq!(
            serde_json::to_string(&dropped).unwrap(),
            r#"{"what":"events","limit":5}"#
        );
    }
}
