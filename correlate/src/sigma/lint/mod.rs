//! Findings about a rule that parsed: what it lacks, and what in it can have no effect.

mod breadth;
pub(super) mod expression;
mod fields;

use super::correlation::kind;
use super::detection::{Detection, Item, Query};
use super::logsource::RuleLogsource;
use super::rule::{Body, Rule};
use crate::diagnostic::{Mark, Report, code};

/// Most selections for which every combination is tried.
const MAX_TABLE_SELECTIONS: usize = 12;

/// Looks over one rule. `alerts` says whether it raises alerts: what only they need is not asked of the others.
pub(crate) fn lint(rule: &Rule, alerts: bool, report: &mut Report<'_>) {
    if rule.head.id.is_none() {
        let help = "add `id:` with a new UUID";
        report.add_help(
            code::MISSING_ID,
            rule.mark,
            format!("`{}` has no id", rule.head.title),
            help,
        );
    }
    if alerts {
        if rule.head.level.is_none() {
            report.add(
                code::MISSING_LEVEL,
                rule.mark,
                format!("`{}` has no level", rule.head.title),
            );
        }
        if rule.head.tags.is_empty() {
            let help = "add `tags:` such as attack.execution and attack.t1609";
            report.add_help(
                code::MISSING_TAGS,
                rule.mark,
                format!("`{}` has no tags", rule.head.title),
                help,
            );
        }
        if rule.extension.tests.is_empty() {
            let help = "add `casebook: { tests: … }` with an event that must match and one that must not";
            report.add_help(
                code::MISSING_TESTS,
                rule.mark,
                format!("`{}` has no tests", rule.head.title),
                help,
            );
        }
    }
    match &rule.body {
        Body::Detection { logsource, detection } => {
            if logsource.sources().next().is_none() {
                let message = format!(
                    "no source has the logsource {logsource}: `{}` never fires",
                    rule.head.title
                );
                report.add(code::NO_SOURCE, rule.mark, message);
            }
            selections(rule.mark, detection, "the rule never fires", report);
            fields::lint(logsource, detection, report);
            if !breadth::is_narrow(detection) {
                let help = "add a field with a value of at least three characters that is not behind a `not`";
                let message = "nothing in the condition narrows the rule down: it matches most of its logsource";
                report.add_help(code::BROAD_RULE, rule.mark, message, help);
            }
        }
        Body::Correlation(correlation) => {
            kind::lint(&correlation.kind, correlation.rules.len(), correlation.mark, report);
        }
    }
}

/// Looks over what a filter asks, wherever it applies.
pub(crate) fn lint_filter(mark: Mark, logsource: &RuleLogsource, detection: &Detection, report: &mut Report<'_>) {
    selections(mark, detection, "the rules that it narrows never fire", report);
    fields::lint(logsource, detection, report);
}

/// Every question about a field, in the order of the rule.
fn items(detection: &Detection) -> Vec<&Item> {
    fn collect<'a>(query: &'a Query, items: &mut Vec<&'a Item>) {
        match query {
            Query::All(parts) | Query::Any(parts) => parts.iter().for_each(|part| collect(part, items)),
            Query::Item(item) => items.push(item),
        }
    }
    let mut items = Vec::new();
    for selection in &detection.selections {
        collect(&selection.query, &mut items);
    }
    items
}

fn selections(mark: Mark, detection: &Detection, consequence: &str, report: &mut Report<'_>) {
    let mut used = vec![false; detection.selections.len()];
    detection
        .conditions
        .iter()
        .for_each(|condition| condition.visit(&mut |at| used[at] = true));
    for (selection, _) in detection.selections.iter().zip(&used).filter(|(_, used)| !**used) {
        let message = format!("the condition never looks at `{}`", selection.name);
        report.add(code::UNUSED_SELECTION, selection.mark, message);
    }
    let used: Vec<usize> = (0..used.len()).filter(|&at| used[at]).collect();
    if used.len() > MAX_TABLE_SELECTIONS {
        return;
    }
    let mut ever = false;
    let mut always = true;
    for combination in 0..1u32 << used.len() {
        let truth = |at: usize| {
            used.iter()
                .position(|&u| u == at)
                .is_some_and(|bit| combination >> bit & 1 == 1)
        };
        let holds = detection.conditions.iter().any(|condition| condition.value(&truth));
        ever |= holds;
        always &= holds;
    }
    if !ever {
        report.add(
            code::NEVER_TRUE,
            mark,
            format!("the condition contradicts itself: {consequence}"),
        );
    } else if always {
        report.add(
            code::ALWAYS_TRUE,
            mark,
            "the condition holds of every event of the logsource",
        );
    }
}
