//! Filters → the rules that they narrow.

use std::collections::HashMap;

use super::named::Named;
use super::references::report_unknown;
use super::renaming::{rename, version_of_names};
use crate::diagnostic::{Diagnostic, Report, code};
use crate::limits::MAX_FILTERS;
use crate::sigma::filter::Filter;
use crate::sigma::lint::lint_filter;
use crate::sigma::mapping::Mapping;
use crate::sigma::rule::Body;

/// Gives each rule the filters that narrow it, and says of each filter what is wrong with it. `names` are the indexes of rules
/// by id and name.
pub(super) fn narrow(
    rules: &mut [Named],
    filters: &[Filter],
    mapping: &Mapping,
    names: &HashMap<String, usize>,
    findings: &mut Vec<Diagnostic>,
) {
    for (count, filter) in filters.iter().enumerate() {
        let mut report = Report::new(&filter.file, findings);
        if count >= MAX_FILTERS {
            let message = format!("a set has at most {MAX_FILTERS} filters");
            report.add(code::TOO_MANY, filter.mark, message);
            return;
        }
        lint(filter, mapping, &mut report);
        let Some(references) = &filter.rules else {
            let mut narrowed = false;
            for named in rules.iter_mut() {
                narrowed |= add(named, filter, mapping);
            }
            if !narrowed {
                let message = format!("`{}` narrows no rule", filter.title);
                let help = "there is no detection of its logsource or a narrower one";
                report.add_help(code::UNUSED_FILTER, filter.mark, message, help);
            }
            continue;
        };
        let mut done = Vec::new();
        for reference in references {
            match names.get(&reference.rule) {
                None => report_unknown(reference, names, &mut report),
                // By its id and by its name.
                Some(at) if done.contains(at) => {}
                Some(&at) if add(&mut rules[at], filter, mapping) => done.push(at),
                Some(_) => {
                    let message = format!("the filter does not narrow `{}`", reference.rule);
                    let help = "its rules must be detections, and of its logsource or a narrower one";
                    report.add_help(code::UNUSED_FILTER, reference.mark, message, help);
                }
            }
        }
    }
}

/// Lets the filter narrow a rule; whether it can.
fn add(named: &mut Named, filter: &Filter, mapping: &Mapping) -> bool {
    let logsource = match &named.rule.body {
        Body::Detection { logsource, .. } if logsource.is_within(&filter.logsource) => logsource,
        _ => return false,
    };
    let mut detection = filter.detection.clone();
    let renamed = rename(&mut detection, mapping, logsource);
    // A sum, since the order of filters means nothing.
    let version = version_of_names(filter.version, &renamed);
    named.rule.version = named.rule.version.wrapping_add(version);
    named.filters.push((filter.title.clone(), detection));
    true
}

fn lint(filter: &Filter, mapping: &Mapping, report: &mut Report<'_>) {
    let (mut logsource, mut detection) = (filter.logsource.clone(), filter.detection.clone());
    mapping.route(&mut logsource);
    rename(&mut detection, mapping, &logsource);
    lint_filter(filter.mark, &logsource, &detection, report);
}
