//! What an answer could not have found, as lines on stderr.

use casebook_event::Timestamp;
use casebook_investigate::coverage::{Coverage, Gap, Source};

use crate::output::escaping::escape;
use crate::output::notice::notice;
use crate::output::rows::counted;

/// Most kinds of dead letters that are named.
const MAX_LETTERS_NAMED: usize = 5;
/// Most topics that are named as not read to their ends.
const MAX_TOPICS_NAMED: usize = 5;

/// Prints the coverage to stderr.
pub fn print(coverage: &Coverage) {
    let known: Vec<String> = coverage.sources.iter().map(known).collect();
    if !known.is_empty() {
        notice!("coverage: {}", known.join(", "));
    }
    topics(coverage)
        .iter()
        .for_each(|line| notice!("coverage: topic {line}"));
    print_dead_letters(coverage);
    let sum = |of: fn(&Source) -> u64| coverage.sources.iter().map(of).sum::<u64>();
    let masked = sum(|source| source.masked);
    if masked > 0 {
        notice!("coverage: a secret was masked in {}", counted(masked as usize, "event"));
    }
    let bare = sum(|source| source.not_logged);
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
            "coverage: {} more than ten minutes late",
            counted(late as usize, "event")
        );
    }
    if coverage.uncounted_files > 0 {
        let files = counted(coverage.uncounted_files as usize, "file");
        notice!("coverage: {files} of an older version do not say what they hold of each source");
    }
    if coverage.unindexed_files > 0 {
        notice!(
            "coverage: {} without an index, read whole: `casebook store rebuild-index` makes it",
            counted(coverage.unindexed_files as usize, "file")
        );
    }
}

/// What an answer may lack, a reason each.
pub fn lacks(coverage: &Coverage) -> Vec<String> {
    let of_gap = |gap: &Gap| match gap {
        Gap::Source { source, last } => Some(format!("{source} is known to {}", to_seconds(*last))),
        Gap::Topic { .. } => None,
        Gap::DeadLetters { count } => Some(undecoded(*count)),
        Gap::UncountedFiles { count } => Some(format!("{} of an older version", counted(*count as usize, "file"))),
    };
    let (sources, others): (Vec<&Gap>, Vec<&Gap>) =
        coverage.gaps.iter().partition(|gap| matches!(gap, Gap::Source { .. }));
    let sources = sources.into_iter().filter_map(of_gap);
    let others = others.into_iter().filter_map(of_gap);
    sources.chain(topics(coverage)).chain(others).collect()
}

fn known(source: &Source) -> String {
    let last = to_seconds(source.last);
    match source.complete_until {
        Some(at) => format!("{} to {last} (read to the end at {})", source.source, to_seconds(at)),
        None => format!("{} to {last}", source.source),
    }
}

/// The topics that are not read to their ends, or not of late.
fn topics(coverage: &Coverage) -> Vec<String> {
    let lines = coverage.gaps.iter().filter_map(|gap| match gap {
        Gap::Topic {
            topic,
            complete_until: Some(at),
        } => Some(format!(
            "{} was last read to its end at {}",
            escape(topic),
            to_seconds(*at)
        )),
        Gap::Topic {
            topic,
            complete_until: None,
        } => Some(format!("{} is not known to be read to its end", escape(topic))),
        _ => None,
    });
    let mut lines: Vec<String> = lines.collect();
    let more = lines.len().saturating_sub(MAX_TOPICS_NAMED);
    lines.truncate(MAX_TOPICS_NAMED);
    if more > 0 {
        lines.push(format!("so are {}", counted(more, "more topic")));
    }
    lines
}

fn undecoded(count: u64) -> String {
    format!("{} could not be decoded", counted(count as usize, "record"))
}

fn print_dead_letters(coverage: &Coverage) {
    let letters = coverage.dead_letters.iter().map(|one| one.count).sum::<u64>() + coverage.other_dead_letters;
    if letters == 0 {
        return;
    }
    let mut kinds: Vec<_> = coverage.dead_letters.iter().collect();
    kinds.sort_by_key(|one| std::cmp::Reverse(one.count));
    let named: Vec<String> = kinds
        .iter()
        .take(MAX_LETTERS_NAMED)
        .map(|one| format!("{} {} {}", escape(&one.topic), escape(&one.reason), one.count))
        .collect();
    notice!(
        "coverage: {} ({}): they are in the table dead_letters",
        undecoded(letters),
        named.join(", ")
    );
}

/// A time without what is below a second.
fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.as_nanos().div_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_gaps_in_their_order() {
        let at = Timestamp::from_seconds;
        let topic = |n: i64| Gap::Topic {
            topic: format!("t{n}"),
            complete_until: (n > 0).then_some(at(n)),
        };
        let mut gaps = vec![Gap::Source {
            source: "auth".to_owned(),
            last: at(1),
        }];
        gaps.extend((0..7).map(topic));
        gaps.push(Gap::DeadLetters { count: 1 });
        let coverage = Coverage {
            gaps,
            ..Coverage::default()
        };
        let found = lacks(&coverage);
        assert_eq!(found[0], "auth is known to 1970-01-01T00:00:01Z");
        assert_eq!(found[1], "t0 is not known to be read to its end");
        assert_eq!(found[2], "t1 was last read to its end at 1970-01-01T00:00:01Z");
        assert_eq!(found[6], "so are 2 more topics");
        assert_eq!(found[7], "1 record could not be decoded");
    }
}
