//! Rules as written → a plan that shares work between them.
//!
//! ```text
//! Rule ─expression─▶ Expression over Atom ids ─source_plan─▶ per Source: FieldScan automata, candidate index, rules
//! ```
//!
//! An atom is one question about one field. Equal questions of different rules are one atom, which is answered at most
//! once an event. Most are literals, and all literals of a field are answered by one pass over its value.

mod atom;
mod field_scan;
mod gate;
mod glob;
mod path_index;
mod source_plan;

pub(crate) use atom::{AtomId, Atoms, Check, FieldIndex};
pub(crate) use source_plan::SourcePlan;

use casebook_event::Source;
use gate::gate;

use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::value::Test;

/// A condition over atoms.
#[derive(Debug, Clone)]
pub(crate) enum Expression {
    Atom(AtomId),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
}

/// The compiled rules.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) atoms: Atoms,
    /// The conditions, in the order in which the rules were given.
    pub(crate) conditions: Vec<Expression>,
    /// In the order of [`Source::ALL`].
    pub(crate) sources: Vec<SourcePlan>,
}

impl Plan {
    /// Compiles detections. Rule numbers are places in `rules`.
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = (&'a RuleLogsource, &'a Detection)>) -> Self {
        let mut atoms = Atoms::default();
        let mut conditions = Vec::new();
        let mut gates = Vec::new();
        let mut routes: Vec<Vec<usize>> = vec![Vec::new(); Source::ALL.len()];
        for (number, (logsource, detection)) in rules.into_iter().enumerate() {
            let asked = detection_expression(detection, &mut atoms);
            let guard = logsource.guard().map(|guard| query_expression(&guard, &mut atoms));
            // What makes an event one of the category is true of most that come: it lets a rule be looked at only where
            // nothing else does.
            let of_guard = || guard.as_ref().and_then(|guard| gate(guard, &atoms));
            gates.push(gate(&asked, &atoms).or_else(of_guard));
            conditions.push(match guard {
                Some(guard) => all(vec![guard, asked]),
                None => asked,
            });
            for source in logsource.sources() {
                routes[source as usize].push(number);
            }
        }
        let sources = routes
            .into_iter()
            .map(|rules| SourcePlan::new(&rules, &conditions, &gates, &atoms))
            .collect();
        Self {
            atoms,
            conditions,
            sources,
        }
    }
}

fn detection_expression(detection: &Detection, atoms: &mut Atoms) -> Expression {
    let mut asked = |conditions: &[Condition]| {
        let parts = conditions.iter().map(|c| condition_expression(c, detection, atoms));
        any(parts.collect())
    };
    let own = asked(&detection.conditions);
    let filters = detection.filters.iter().map(|filter| asked(&filter.conditions));
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

fn query_expression(query: &Query, atoms: &mut Atoms) -> Expression {
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
    let asked = if item.all { all(values) } else { any(values) };
    if item.negated {
        Expression::Not(Box::new(asked))
    } else {
        asked
    }
}

fn all(mut parts: Vec<Expression>) -> Expression {
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
