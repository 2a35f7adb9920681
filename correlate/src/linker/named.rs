//! Rules by the ids and names that they go by.

use std::collections::HashMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Report, code};
use crate::limits::MAX_RULES;
use crate::sigma::detection::Detection;
use crate::sigma::rule::Rule;

/// A rule with the id that it goes by.
pub(super) struct Named {
    pub(super) id: Arc<str>,
    pub(super) rule: Rule,
    /// The titles of the filters that narrow it, with what they ask of its events.
    pub(super) filters: Vec<(String, Detection)>,
}

impl Named {
    pub(super) fn name(&self) -> Option<&str> {
        self.rule.head.name.as_ref().map(|(name, _)| name.as_str())
    }

    pub(super) fn answers_to(&self, reference: &str) -> bool {
        &*self.id == reference || self.name() == Some(reference)
    }
}

/// Leaves out the rules whose id or name another rule before them has.
pub(super) fn unique(rules: Vec<Rule>, findings: &mut Vec<Diagnostic>) -> Vec<Named> {
    let mut taken: HashMap<String, (String, u32)> = HashMap::new();
    let mut kept: Vec<Named> = Vec::new();
    for rule in rules {
        let head = &rule.head;
        let id = match (&head.id, &head.name) {
            (Some((id, _)), _) | (None, Some((id, _))) => id.clone(),
            (None, None) => format!("untitled-{:032x}", xxhash_rust::xxh3::xxh3_128(head.title.as_bytes())),
        };
        let id_mark = head
            .id
            .as_ref()
            .or(head.name.as_ref())
            .map_or(rule.mark, |(_, mark)| *mark);
        let name = head.name.as_ref().filter(|(name, _)| *name != id);
        let keys = [Some((id.clone(), id_mark, code::DUPLICATE_ID, "id")), None]
            .into_iter()
            .chain([name.map(|(name, mark)| (name.clone(), *mark, code::DUPLICATE_NAME, "name"))])
            .flatten();
        let mut report = Report::new(&rule.file, findings);
        let mut free = Vec::new();
        for (key, mark, code, what) in keys {
            match taken.get(&key) {
                Some((file, line)) => {
                    report.add(
                        code,
                        mark,
                        format!("the {what} `{key}` is taken by the rule at {file}:{line}"),
                    );
                }
                None => free.push(key),
            }
        }
        if kept.len() >= MAX_RULES {
            report.add(
                code::TOO_MANY,
                rule.mark,
                format!("a set has at most {MAX_RULES} rules"),
            );
        }
        if report.errors() == 0 {
            taken.extend(free.into_iter().map(|key| (key, (rule.file.clone(), rule.mark.line))));
            let id = id.into();
            kept.push(Named {
                id,
                rule,
                filters: Vec::new(),
            });
        }
    }
    kept
}
