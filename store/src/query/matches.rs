//! What a query means: the predicate on one event. Everything else only finds candidates for it.

use super::ast::{Query, Target, TextTest, ValueTest};
use super::phrase::holds_phrase;
use super::row::Row;
use crate::index::tokenizer::fold;

/// Whether the event matches the query.
pub(crate) fn matches(query: &Query, row: &Row<'_>) -> bool {
    match query {
        Query::All => true,
        Query::And(parts) => parts.iter().all(|part| matches(part, row)),
        Query::Or(parts) => parts.iter().any(|part| matches(part, row)),
        Query::Not(part) => !matches(part, row),
        Query::Text(test) => text_matches(test, row.text()),
        Query::Field(target, test) => field_matches(target, test, row),
        Query::Time(from, to) => {
            from.is_none_or(|from| row.event.time >= from) && to.is_none_or(|to| row.event.time < to)
        }
    }
}

fn text_matches(test: &TextTest, text: &str) -> bool {
    match test {
        TextTest::Phrase(phrase) => holds_phrase(text, phrase),
        TextTest::Wildcard(wildcard) => wildcard.is_within(text),
        TextTest::Regex(regex) => regex.is_match(text),
    }
}

fn field_matches(target: &Target, test: &ValueTest, row: &Row<'_>) -> bool {
    let mut passes = |value: &str| test.passes(&fold(value));
    match target {
        Target::First(columns) => {
            for &column in columns {
                let mut found = false;
                let passed = row.visit(column, &mut |value| {
                    found = true;
                    passes(value)
                });
                if found {
                    return passed;
                }
            }
            false
        }
        Target::Any(columns) => columns.iter().any(|&column| match column.claims() {
            None => row.visit(column, &mut passes),
            Some(claims) => {
                let mut claimed = Vec::new();
                row.visit(claims, &mut |value| {
                    claimed.push(fold(value).into_owned());
                    false
                });
                row.visit(column, &mut |value| {
                    passes(value) && !claimed.iter().any(|claim| *claim == *fold(value))
                })
            }
        }),
        Target::Native(path) => row.visit_native(path, &mut passes),
    }
}
