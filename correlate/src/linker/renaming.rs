//! Mapping documents → the sources and fields that rules mean.

use crate::sigma::detection::Detection;
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::mapping::{Mapping, Renamed, Scope};
use crate::sigma::rule::{Body, Rule};
use crate::sigma::version::version_with;

/// Gives a rule the sources and names of the fields that are meant.
pub(super) fn map(rule: &mut Rule, mapping: &Mapping) {
    if let Body::Detection { logsource, detection } = &mut rule.body {
        mapping.route(logsource);
        if let Some(mapped) = &logsource.mapped {
            rule.version = version_with(rule.version, [format!("{:016x}", mapped.version).as_str()]);
        }
        let renamed = rename(detection, mapping, logsource);
        rule.version = version_of_names(rule.version, &renamed);
    }
}

/// Renames the fields that a detection names; the names that mapping documents gave another meaning.
pub(super) fn rename(detection: &mut Detection, mapping: &Mapping, logsource: &RuleLogsource) -> Renamed {
    let scope = Scope::new(logsource);
    let mut renamed = Renamed::new();
    for selection in &mut detection.selections {
        mapping.rename(&mut selection.query, &scope, &mut renamed);
    }
    renamed
}

/// A version with what names mean.
pub(super) fn version_of_names(version: u64, renamed: &Renamed) -> u64 {
    let texts = renamed
        .iter()
        .flat_map(|(name, fields)| std::iter::once(name).chain(fields));
    version_with(version, texts.map(String::as_str))
}
