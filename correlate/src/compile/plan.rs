//! The plan of a rule set: its atoms, its conditions, and what has to be done for each source.

use casebook_event::Source;

use super::atom::Atoms;
use super::expression::{Expression, all, detection_expression, query_expression};
use super::prefilter::prefilter;
use super::source_plan::SourcePlan;
use crate::sigma::detection::Detection;
use crate::sigma::logsource::RuleLogsource;

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
    /// Compiles detections. Rule numbers are indexes into `rules`.
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = (&'a RuleLogsource, &'a Detection)>) -> Self {
        let mut atoms = Atoms::default();
        let mut conditions = Vec::new();
        let mut prefilters = Vec::new();
        let mut routes: Vec<Vec<usize>> = vec![Vec::new(); Source::ALL.len()];
        for (number, (logsource, detection)) in rules.into_iter().enumerate() {
            let own = detection_expression(detection, &mut atoms);
            let guard = logsource.guard().map(|guard| query_expression(&guard, &mut atoms));
            // What makes an event one of the category is true of most that come: it is the prefilter only of a rule
            // that has no other.
            let of_guard = || guard.as_ref().and_then(|guard| prefilter(guard, &atoms));
            prefilters.push(prefilter(&own, &atoms).or_else(of_guard));
            conditions.push(match guard {
                Some(guard) => all(vec![guard, own]),
                None => own,
            });
            for source in logsource.sources() {
                routes[source as usize].push(number);
            }
        }
        let sources = routes
            .into_iter()
            .map(|rules| SourcePlan::new(&rules, &conditions, &prefilters, &atoms))
            .collect();
        Self {
            atoms,
            conditions,
            sources,
        }
    }
}
