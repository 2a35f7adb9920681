//! What every answer says of what it could not have found.

use casebook_event::Timestamp;
use casebook_store::{Coverage, SourceCoverage};

use crate::output::{counted, escape};

/// A source of which nothing was read for so long may have more to tell of what is asked up to now.
const STALE_NANOS: i64 = 10 * 60 * 1_000_000_000;
/// Most kinds of dead letters that are named.
const MAX_LETTERS_NAMED: usize = 5;

/// Prints the coverage to stderr. Returns what the answer may lack, a reason each.
pub fn print(coverage: &Coverage, to: Option<Timestamp>, unindexed: u64) -> Vec<String> {
    let now = casebook_pipeline::now();
    let mut lacks = Vec::new();
    let known: Vec<String> = coverage
        .sources
        .iter()
        .map(|source| {
            if is_behind(source, to, now) {
                lacks.push(format!("{} is known to {}", source.source, to_seconds(source.last)));
            }
            format!("{} to {}", source.source, to_seconds(source.last))
        })
        .collect();
    if !known.is_empty() {
        eprintln!("coverage: {}", known.join(", "));
    }
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
        eprintln!(
            "coverage: {text} ({}): they are in the table dead_letters",
            named.join(", ")
        );
        lacks.push(text);
    }
    let sum = |of: fn(&SourceCoverage) -> u64| coverage.sources.iter().map(of).sum::<u64>();
    let masked = sum(|source| source.masked);
    if masked > 0 {
        eprintln!("coverage: a secret was masked in {}", counted(masked as usize, "event"));
    }
    let bare = sum(|source| source.metadata_only);
    if bare > 0 {
        eprintln!(
            "coverage: {} without request and response (audit policy level Metadata)",
            counted(bare as usize, "audit event")
        );
    }
    let (late, events) = (sum(|source| source.late), sum(|source| source.events));
    // Where all of them are, they were read from a history.
    if late > 0 && late < events {
        eprintln!(
            "coverage: {} came more than ten minutes after what it tells of",
            counted(late as usize, "event")
        );
    }
    if coverage.uncounted_files > 0 {
        let files = counted(coverage.uncounted_files as usize, "file");
        eprintln!("coverage: {files} of an older version do not say what they hold of each source");
        lacks.push(format!("{files} of an older version"));
    }
    if unindexed > 0 {
        eprintln!(
            "coverage: {} without an index, read whole: `casebook store rebuild-index` makes it",
            counted(unindexed as usize, "file")
        );
    }
    lacks
}

/// Whether what is asked for goes beyond what is known of a source.
fn is_behind(source: &SourceCoverage, to: Option<Timestamp>, now: Timestamp) -> bool {
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
    }
}
