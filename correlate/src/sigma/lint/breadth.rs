//! Rules that ask too little: what they match is most of their logsource.

use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::pattern::Piece;
use crate::sigma::value::Test;

/// Fewest bytes of a text with wildcards that make it narrow.
const MIN_NARROW_BYTES: usize = 3;

/// Whether some question narrows down what the rule matches, however its condition is met.
pub(super) fn is_narrow(detection: &Detection) -> bool {
    detection.conditions.iter().all(|one| condition(one, detection))
}

fn condition(narrowing: &Condition, detection: &Detection) -> bool {
    match narrowing {
        Condition::Selection(at) => query(&detection.selections[*at].query),
        Condition::All(parts) => parts.iter().any(|part| condition(part, detection)),
        Condition::Any(parts) => parts.iter().all(|part| condition(part, detection)),
        Condition::Not(_) => false,
    }
}

fn query(narrowing: &Query) -> bool {
    match narrowing {
        Query::All(parts) => parts.iter().any(query),
        Query::Any(parts) => parts.iter().all(query),
        Query::Item(one) => item(one),
    }
}

fn item(item: &Item) -> bool {
    if item.negated {
        return false;
    }
    let value = |spellings: &Vec<Test>| spellings.iter().all(test);
    if item.all {
        // Several short texts together narrow as well as a long one.
        let bytes: usize = item.values.iter().flatten().map(literal_bytes).sum();
        item.values.iter().any(value) || bytes >= MIN_NARROW_BYTES
    } else {
        item.values.iter().all(value)
    }
}

fn test(test: &Test) -> bool {
    match test {
        Test::Text { pattern, .. } => pattern.as_literal().is_some() || literal_bytes(test) >= MIN_NARROW_BYTES,
        Test::Regex(expression) => !expression.regex.is_match(""),
        Test::Exists(_) | Test::Null => false,
        _ => true,
    }
}

fn literal_bytes(test: &Test) -> usize {
    match test {
        Test::Text { pattern, .. } => {
            let texts = pattern.pieces().iter().filter_map(|piece| match piece {
                // One letter of another script, or an invisible one, is as rare as a word.
                Piece::Text(text) => Some(text.len()),
                _ => None,
            });
            texts.sum()
        }
        _ => 0,
    }
}
