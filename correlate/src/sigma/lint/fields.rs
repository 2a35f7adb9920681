//! Fields that no source of the rule has: the rule would never fire, or its filter never filter.

use casebook_event::{FieldId, FieldRef, Source, TAXONOMY};

use crate::diagnostic::{Report, code};
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::rule::is_near;

/// Shortest name for which a name that differs by little is taken for a misspelling.
const MIN_NEAR_CHARS: usize = 5;

/// Reports each unknown field of the rule once.
pub(super) fn unknown_fields(logsource: &RuleLogsource, detection: &Detection, report: &mut Report<'_>) {
    let sources: Vec<Source> = logsource.sources().collect();
    if sources.is_empty() {
        return;
    }
    let mut reported: Vec<&str> = Vec::new();
    for item in items(detection) {
        let Some(name) = item.field.as_deref() else { continue };
        if reported.contains(&name) || is_known(name, logsource, &sources) {
            continue;
        }
        reported.push(name);
        let near = nearest(name, &sources);
        let message = format!("no event of {} has the field `{name}`", names(&sources));
        match near {
            Some(near) => report.add_help(
                code::UNKNOWN_FIELD,
                item.mark,
                message,
                format!("did you mean `{near}`?"),
            ),
            None => {
                let help =
                    "`casebook normalize` shows what its events have; docs/data-model.md lists the normalized fields";
                report.add_help(code::UNKNOWN_FIELD, item.mark, message, help);
            }
        }
    }
}

fn is_known(name: &str, logsource: &RuleLogsource, sources: &[Source]) -> bool {
    let field = FieldRef::resolve(name);
    if !field.normalized().is_empty() || field.is_time() {
        return true;
    }
    // A rule of a generic category is about several sources at once, whose own fields have nothing in common.
    if logsource.mapped.is_none() && logsource.guard().is_some() {
        return false;
    }
    let fixed = sources.iter().all(|source| source.native_fields().is_some());
    if fixed {
        sources.iter().any(|source| source.may_have(name))
    } else {
        // Any name may be there. One that is almost that of a normalized field is most likely meant to be it.
        // Case alone says nothing: sources have a `user` or `image` of their own.
        nearest(name, &[]).is_none_or(|near| near.eq_ignore_ascii_case(name))
    }
}

/// The known name that differs by little; the more alike of several.
fn nearest(name: &str, sources: &[Source]) -> Option<&'static str> {
    let normalized = FieldId::ALL.iter().map(|id| id.name());
    let taxonomy = TAXONOMY.iter().map(|(name, _)| *name);
    let native = sources.iter().filter_map(|source| source.native_fields()).flatten();
    let known = normalized
        .chain(taxonomy)
        .chain(native.map(|name| name.trim_end_matches(".*")));
    let mut near: Vec<&str> = known
        .filter(|known| known.eq_ignore_ascii_case(name) || (name.len() >= MIN_NEAR_CHARS && is_near(known, name)))
        .collect();
    near.sort_by_key(|known| (!known.eq_ignore_ascii_case(name), known.len().abs_diff(name.len())));
    near.first().copied()
}

fn names(sources: &[Source]) -> String {
    let names: Vec<&str> = sources.iter().map(|source| source.name()).collect();
    names.join(", ")
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
