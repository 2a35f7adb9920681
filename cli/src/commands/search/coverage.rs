//! What every answer says of what it could not have found.

use casebook_event::Timestamp;
use casebook_store::{Coverage, SourceCoverage, TopicCoverage};

use crate::output::{counted, escape, notice};

/// A source of which nothing was read for so long may have more to tell of what is asked up to now.
const STALE_NANOS: i64 = 10 * 60 * 1_000_000_000;
/// Most kinds of dead letters that are named.
const MAX_LETTERS_NAMED: usize = 5;
/// Most topics that are named as not read to their ends.
const MAX_TOPICS_NAMED: usize = 5;
/// A topic that was seen so long before the others is read no more.
const GONE_NANOS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// Prints the coverage to stderr. Returns what the answer may lack, a reason each.
pub fn print(coverage: &Coverage, to: Option<Timestamp>, unindexed: u64) -> Vec<String> {
    let now = casebook_pipeline::now();
    let mut lacks = Vec::new();
    let known: Vec<String> = coverage
        .sources
        .iter()
        .map(|source| {
            let last = to_seconds(source.last);
            if is_behind(source, to, now) {
                lacks.push(format!("{} is known to {last}", source.source));
            }
            match source.read_to_end {
                Some(at) => format!("{} to {last} (read to the end at {})", source.source, to_seconds(at)),
                None => format!("{} to {last}", source.source),
            }
        })
        .collect();
    if !known.is_empty() {
        notice!("coverage: {}", known.join(", "));
    }
    lacks.extend(topics_behind(coverage, to, now));
    let letters: u64 = coverage.dead_letters.iter().map(|one| one.count).sum::<u64>() + coverage.other_dead_letters;
    if letters > 0 {
        let mut kinds: Vec<_> = coverage.dead_letters.iter().collect();
        kinds.sort_by_key(|one| std::cmp::Reverse(one.count));
        let named: Vec<String> = kinds
            .iter()
            .take(MAX_LETTERS_NAMED)
            .map(|one| format!("{} {} {}", escape(&one.topic), escape(&one.reason), one.count))
            .collect();
        let text = format!("{} could not be decoded", counted(letters as usize, "record"));
        notice!(
            "coverage: {text} ({}): they are in the table dead_letters",
            named.join(", ")
        );
        lacks.push(text);
    }
    let sum = |of: fn(&SourceCoverage) -> u64| coverage.sources.iter().map(of).sum::<u64>();
    let masked = sum(|source| source.masked);
    if masked > 0 {
        notice!("coverage: a secret was masked in {}", counted(masked as usize, "event"));
    }
    let bare = sum(|source| source.metadata_only);
    if bare > 0 {
        notice!(
            "coverage: {} without request and response (audit policy level Metadata)",
            counted(bare as usize, "audit event")
        );
    }
    let (late, events) = (sum(|source| source.late), sum(|source| source.events));
    // Where all of them are, they were read from a history.
    if late > 0 && late < events {
        notice!(
            "coverage: {} came more than ten minutes after what it tells of",
            counted(late as usize, "event")
        );
    }
    if coverage.uncounted_files > 0 {
        let files = counted(coverage.uncounted_files as usize, "file");
        notice!("coverage: {files} of an older version do not say what they hold of each source");
        lacks.push(format!("{files} of an older version"));
    }
    if unindexed > 0 {
        notice!(
            "coverage: {} without an index, read whole: `casebook store rebuild-index` makes it",
            counted(unindexed as usize, "file")
        );
    }
    lacks
}

/// Prints which of the topics that the answer is about are not read to their ends, or not of late; returns the same as reasons.
fn topics_behind(coverage: &Coverage, to: Option<Timestamp>, now: Timestamp) -> Vec<String> {
    // A store of a version that does not tell says nothing of any.
    if coverage.topics.iter().all(|topic| topic.read_to_end.is_none()) {
        return Vec::new();
    }
    let asked = to.map_or(now, |to| to.min(now));
    let newest = coverage.topics.iter().filter_map(last_seen).max();
    let behind = coverage.topics.iter().filter_map(|topic| {
        // A topic that is not read any more is none of which more is to come.
        let is_gone = last_seen(topic)
            .zip(newest)
            .is_some_and(|(seen, newest)| seen.saturating_add_nanos(GONE_NANOS) < newest);
        match topic.read_to_end {
            _ if is_gone => None,
            Some(at) if at.saturating_add_nanos(STALE_NANOS) >= asked => None,
            Some(at) => Some(format!(
                "{} was last read to its end at {}",
                escape(&topic.topic),
                to_seconds(at)
            )),
            None => Some(format!("{} is not known to be read to its end", escape(&topic.topic))),
        }
    });
    let mut behind: Vec<String> = behind.collect();
    let more = behind.len().saturating_sub(MAX_TOPICS_NAMED);
    behind.truncate(MAX_TOPICS_NAMED);
    if more > 0 {
        behind.push(format!("so are {}", counted(more, "more topic")));
    }
    behind.iter().for_each(|line| notice!("coverage: topic {line}"));
    behind
}

/// When something of a topic was known last.
fn last_seen(topic: &TopicCoverage) -> Option<Timestamp> {
    topic.read_to_end.max(topic.committed)
}

/// Whether what is asked for goes beyond what is known of a source. A source of which nothing comes is known as far as its topics
/// are read: that nothing was sent is known then, though not why.
fn is_behind(source: &SourceCoverage, to: Option<Timestamp>, now: Timestamp) -> bool {
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

/// A time without what is below a second.
fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.as_nanos().div_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
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
        let coverage = Coverage {
            topics: vec![
                topic("quiet", Some(1_999_990), 5),
                topic("dead", Some(1_990_000), 1_990_000),
                topic("full", None, 1_999_990),
                topic("gone", Some(1_000_000), 1_000_000),
            ],
            ..Coverage::default()
        };
        let behind = topics_behind(&coverage, None, at(2_000_000));
        assert_eq!(behind.len(), 2, "{behind:?}");
        assert!(
            behind[0].starts_with("dead was last read to its end at 1970-01-24T00:46:40"),
            "{behind:?}"
        );
        assert!(behind[1].starts_with("full is not known"), "{behind:?}");
        // What is over by then is known of all but the one that never was read to its end.
        assert_eq!(topics_behind(&coverage, Some(at(1_990_100)), at(2_000_000)).len(), 1);
    }

    #[test]
    fn a_source_is_behind_what_is_asked_for() {
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
                is_behind(&source(last, ingested), to.map(at), now),
                want,
                "{last} {ingested} {to:?}"
            );
        };
        // Up to now: what counts is when it was last read.
        check(9_990, 9_995, None, false);
        check(9_990, 9_000, None, true);
        check(9_990, 9_000, Some(20_000), true);
        // Up to a time that is over: read after it, or told of until near it.
        check(4_000, 9_000, Some(5_000), false);
        check(4_900, 4_950, Some(5_000), false);
        check(4_000, 4_950, Some(5_000), true);
        // It says nothing for hours, and its topic is read to the end all the while: then nothing was sent.
        let quiet = |read_to_end: i64| SourceCoverage {
            read_to_end: Some(at(read_to_end)),
            ..source(1_000, 1_000)
        };
        assert!(!is_behind(&quiet(9_990), None, now));
        assert!(is_behind(&quiet(5_000), None, now), "nobody has read on since");
        assert!(!is_behind(&quiet(5_000), Some(at(5_000)), now));
    }
}
