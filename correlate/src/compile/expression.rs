//! Conditions as written → conditions over atoms.

use super::atom::{AtomId, Atoms};
use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::value::Test;

/// A condition over atoms.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Atom(AtomId),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
}

pub(super) fn detection_expression(detection: &Detection, atoms: &mut Atoms) -> Expression {
    let mut any_of = |conditions: &[Condition]| {
        let parts = conditions.iter().map(|c| condition_expression(c, detection, atoms));
        any(parts.collect())
    };
    let own = any_of(&detection.conditions);
    let filters = detection.filters.iter().map(|filter| any_of(&filter.conditions));
    all(std::iter::once(own).chain(filters).collect())
}

fn condition_expression(condition: &Condition, detection: &Detection, atoms: &mut Atoms) -> Expression {
    match condition {
        Condition::Selection(at) => query_expression(&detection.selections[*at].query, atoms),
        Condition::All(parts) => all(parts
            .iter()
            .map(|part| condition_expression(part, detection, atoms))
            .collect()),
        Condition::Any(parts) => any(parts
            .iter()
            .map(|part| condition_expression(part, detection, atoms))
            .collect()),
        Condition::Not(part) => Expression::Not(Box::new(condition_expression(part, detection, atoms))),
    }
}

pub(super) fn query_expression(query: &Query, atoms: &mut Atoms) -> Expression {
    match query {
        Query::All(parts) => all(parts.iter().map(|part| query_expression(part, atoms)).collect()),
        Query::Any(parts) => any(parts.iter().map(|part| query_expression(part, atoms)).collect()),
        Query::Item(item) => item_expression(item, atoms),
    }
}

fn item_expression(item: &Item, atoms: &mut Atoms) -> Expression {
    let mut spelling = |test: &Test| Expression::Atom(atoms.intern(item.field.as_deref(), test));
    let values: Vec<_> = item
        .values
        .iter()
        .map(|spellings| any(spellings.iter().map(&mut spelling).collect()))
        .collect();
    let holds = if item.all { all(values) } else { any(values) };
    if item.negated {
        Expression::Not(Box::new(holds))
    } else {
        holds
    }
}

pub(super) fn all(mut parts: Vec<Expression>) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Expression::All(parts)
        }
    }
}

fn any(mut parts: Vec<Expression>) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Expression::Any(parts)
        }
    }
}
