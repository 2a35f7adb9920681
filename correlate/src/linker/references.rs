//! References between rules: which rules a correlation or a filter is about.

use std::collections::{BTreeSet, HashMap};

use casebook_event::Source;

use super::named::Named;
use crate::diagnostic::{Diagnostic, Report, code};
use crate::sigma::correlation::{Correlation, Reference};
use crate::sigma::rule::{Body, Rule, is_near};

/// The rules that each rule is about, by index; `None` where something about them is an error.
pub(super) type Members = Vec<Option<Vec<usize>>>;

/// The indexes of the rules that a correlation is about; `None` if something about them is an error.
pub(super) fn resolve(
    rule: &Rule,
    correlation: &Correlation,
    rules: &[Named],
    names: &HashMap<String, usize>,
    findings: &mut Vec<Diagnostic>,
) -> Option<Vec<usize>> {
    let mut report = Report::new(&rule.file, findings);
    let mut members = Vec::new();
    for reference in &correlation.rules {
        match names.get(&reference.rule) {
            Some(&at) => members.push(at),
            None => report_unknown(reference, names, &mut report),
        }
    }
    for alias in &correlation.aliases {
        for (reference, _) in &alias.fields {
            if !members.iter().any(|&at| rules[at].answers_to(&reference.rule)) {
                let message = format!("the correlation is not about a rule `{}`", reference.rule);
                report.add(code::BAD_ALIAS, reference.mark, message);
            }
        }
        for &at in &members {
            if !alias
                .fields
                .iter()
                .any(|(reference, _)| rules[at].answers_to(&reference.rule))
            {
                let message = format!(
                    "the alias `{}` names no field for the rule `{}`",
                    alias.name, rules[at].id
                );
                report.add(code::BAD_ALIAS, alias.mark, message);
            }
        }
        if !correlation.group_by.contains(&alias.name) && !correlation.fields.contains(&alias.name) {
            let message = format!("neither `group-by` nor `field` uses the alias `{}`", alias.name);
            report.add(code::BAD_ALIAS, alias.mark, message);
        }
    }
    (report.errors() == 0).then_some(members)
}

/// Says that there is no rule of that id or name, and which has almost that one.
pub(super) fn report_unknown(reference: &Reference, names: &HashMap<String, usize>, report: &mut Report<'_>) {
    let message = format!("there is no rule with the id or name `{}`", reference.rule);
    let near = names.keys().filter(|name| is_near(name, &reference.rule)).min();
    match near {
        Some(near) => report.add_help(
            code::UNKNOWN_RULE,
            reference.mark,
            message,
            format!("did you mean `{near}`?"),
        ),
        None => report.add(code::UNKNOWN_RULE, reference.mark, message),
    }
}

/// The sources of a rule and of all that it builds on.
pub(super) fn sources(rules: &[Named], members: &Members, at: usize) -> BTreeSet<Source> {
    match &rules[at].rule.body {
        Body::Detection { logsource, .. } => logsource.sources().collect(),
        Body::Correlation(_) => {
            let members_of_it = members[at].iter().flatten();
            members_of_it
                .flat_map(|&member| sources(rules, members, member))
                .collect()
        }
    }
}
