//! A rule or a filter as a whole: what it lacks, and whether its condition can hold.

use super::breadth::is_narrow;
use super::correlation;
use super::fields::unknown_fields;
use crate::diagnostic::{Mark, Report, code};
use crate::sigma::detection::Detection;
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::rule::{Body, Rule};

/// Most selections for which every combination is tried.
const MAX_TABLE_SELECTIONS: usize = 12;

/// Lints one rule. `alerts` says whether it raises alerts: what only they need is not required of the others.
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
            unknown_fields(logsource, detection, report);
            if !is_narrow(detection) {
                let help = "add a field with a value of at least three characters that is not below a `not`";
                let message = "nothing in the condition narrows the rule down: it matches most of its logsource";
                report.add_help(code::BROAD_RULE, rule.mark, message, help);
            }
        }
        Body::Correlation(correlation) => {
            correlation::lint(&correlation.kind, correlation.rules.len(), correlation.mark, report);
        }
    }
}

/// Lints what a filter requires, wherever it applies.
pub(crate) fn lint_filter(mark: Mark, logsource: &RuleLogsource, detection: &Detection, report: &mut Report<'_>) {
    selections(mark, detection, "the rules that it narrows never fire", report);
    unknown_fields(logsource, detection, report);
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
