//! How far back a repair must read.

use std::sync::Arc;

use crate::correlation::plan::{CorrelationPlan, Plans};

/// The correlations whose groups change together with those of a rule, by id.
pub(crate) fn family<'a>(plans: &'a Plans, rule_id: &str) -> impl Iterator<Item = &'a Arc<CorrelationPlan>> + use<'a> {
    let name = plans.correlations.get(rule_id).map(|plan| plan.family().to_owned());
    let all = plans.correlations.values();
    all.filter(move |plan| name.as_deref() == Some(plan.family()))
}

/// How far before a late event signals and windows are needed, in nanoseconds: what a correlation is made of must be exact from
/// as far back as what builds on it reaches.
pub(crate) fn needed_nanos(plans: &Plans, rule_id: &str) -> (i64, i64) {
    let plans: Vec<_> = family(plans, rule_id).collect();
    let reaches = plans.iter().map(|plan| {
        let lags = plan.lag_nanos.saturating_mul(2);
        lags.saturating_add(plan.reach_nanos())
    });
    let signals = reaches.max().unwrap_or(0);
    let longest = plans.iter().map(|plan| plan.timespan_nanos).max().unwrap_or(0);
    (signals, signals.saturating_add(longest))
}
