//! The `logsource` of a detection rule, and which sources it means.

use casebook_event::{Logsource, Source};

use super::detection::{Item, Query};
use super::head::text;
use super::pattern::Pattern;
use super::value::Test;
use super::yaml::Entry;
use crate::diagnostic::{Mark, Report, code};

/// What a field must be: any of these values.
type FieldValues = (&'static str, &'static [&'static str]);

/// The generic categories (Sigma taxonomy, "Generic log sources") in the words of ECS.
const GENERIC: &[(&str, &[FieldValues])] = &[
    (
        "process_creation",
        &[("event.category", &["process"]), ("event.type", &["start"])],
    ),
    (
        "network_connection",
        &[
            ("event.category", &["network"]),
            ("event.type", &["connection", "start"]),
        ],
    ),
    (
        "file_event",
        &[("event.category", &["file"]), ("event.type", &["creation", "change"])],
    ),
    (
        "file_change",
        &[("event.category", &["file"]), ("event.type", &["change"])],
    ),
    (
        "file_delete",
        &[("event.category", &["file"]), ("event.type", &["deletion"])],
    ),
    (
        "file_access",
        &[("event.category", &["file"]), ("event.type", &["access"])],
    ),
];

/// A rule's logsource. A part that is absent matches any.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RuleLogsource {
    /// Sigma `product`.
    pub(crate) product: Option<String>,
    /// Sigma `category`.
    pub(crate) category: Option<String>,
    /// Sigma `service`.
    pub(crate) service: Option<String>,
    /// What stands for it, where no source has it.
    pub(crate) mapped: Option<Mapped>,
}

/// What a mapping document says to stand for a logsource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mapped {
    pub(crate) sources: Vec<Source>,
    /// What an event of them must be.
    pub(crate) guard: Option<Query>,
    /// A hash of what the document says of it.
    pub(crate) version: u64,
}

impl RuleLogsource {
    /// Reads the section; `None` if it is an error.
    pub(crate) fn parse(entry: &Entry, report: &mut Report<'_>) -> Option<Self> {
        let errors = report.errors();
        let Some(entries) = entry.value.entries() else {
            let message = format!("`logsource` must be a mapping, not {}", entry.value.kind());
            report.add(code::BAD_SHAPE, entry.value.mark, message);
            return None;
        };
        for entry in entries {
            if !["product", "category", "service", "definition"].contains(&entry.key.as_str()) {
                report.add(
                    code::UNKNOWN_KEY,
                    entry.mark,
                    format!("`logsource` has no key `{}`", entry.key),
                );
            }
        }
        let mut part = |key| text(&entry.value, key, report).map(|(text, _)| text.to_lowercase());
        let logsource = Self {
            product: part("product"),
            category: part("category"),
            service: part("service"),
            mapped: None,
        };
        if logsource == Self::default() && report.errors() == errors {
            let message = "`logsource` names no product, category or service";
            report.add_help(
                code::MISSING_KEY,
                entry.mark,
                message,
                "name at least one: it says which logs the rule reads",
            );
        }
        (report.errors() == errors).then_some(logsource)
    }

    /// Whether the rule reads logs of this kind: every part that the rule names is the same in one logsource of it.
    ///
    /// A part that the rule names and the log does not have is no match: a rule about `process_creation` on Linux does
    /// not read sshd's log, although both are Linux.
    fn means(&self, logsource: &Logsource) -> bool {
        let same = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
        same(&self.product, logsource.product)
            && same(&self.category, logsource.category)
            && same(&self.service, logsource.service)
    }

    /// What an event must be, beside coming from one of the sources, for the rule to be about it: a source may report
    /// processes, connections and files alike, and the generic categories of the Sigma taxonomy mean one of them.
    pub(crate) fn guard(&self) -> Option<Query> {
        if let Some(mapped) = &self.mapped {
            return mapped.guard.clone();
        }
        let (_, required) = GENERIC
            .iter()
            .find(|(name, _)| self.category.as_deref() == Some(name))?;
        let text = |value: &&str| {
            vec![Test::Text {
                pattern: Pattern::literal(value),
                cased: false,
            }]
        };
        let items = required.iter().map(|(field, values)| {
            Query::Item(Item {
                mark: Mark::START,
                field: Some((*field).to_owned()),
                all: false,
                negated: false,
                values: values.iter().map(text).collect(),
            })
        });
        Some(Query::All(items.collect()))
    }

    /// The sources whose events the rule reads.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> {
        Source::ALL.iter().copied().filter(|source| match &self.mapped {
            Some(mapped) => mapped.sources.contains(source),
            None => source.logsources().iter().any(|logsource| self.means(logsource)),
        })
    }

    /// Whether every part that `other` names is the same here.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let same = |own: &Option<String>, other: &Option<String>| other.is_none() || own == other;
        same(&self.product, &other.product)
            && same(&self.category, &other.category)
            && same(&self.service, &other.service)
    }
}

impl std::fmt::Display for RuleLogsource {
    /// `product/category/service`, with `*` for what is absent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        f.pad(&format!(
            "{}/{}/{}",
            part(&self.product),
            part(&self.category),
            part(&self.service)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_go_to_the_sources_they_name() {
        let check = |product: &str, category: &str, service: &str, want: &[Source]| {
            let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let rule = RuleLogsource {
                product: part(product),
                category: part(category),
                service: part(service),
                mapped: None,
            };
            assert_eq!(rule.sources().collect::<Vec<_>>(), want, "{rule}");
        };
        check("kubernetes", "", "audit", &[Source::KubernetesAudit]);
        check("kubernetes", "application", "audit", &[Source::KubernetesAudit]);
        check("aws", "", "cloudtrail", &[Source::CloudTrail]);
        check("gcp", "", "gcp.audit", &[Source::GcpAudit]);
        check("azure", "", "activitylogs", &[Source::AzureActivity]);
        check("linux", "", "auth", &[Source::Auth]);
        check("linux", "", "sshd", &[Source::Auth]);
        check("linux", "", "sudo", &[Source::Auth]);
        check("linux", "", "auditd", &[Source::Auditd]);
        check("", "webserver", "", &[Source::WebAccess]);
        let runtime = [Source::Auditd, Source::Falco, Source::Tetragon];
        check("linux", "process_creation", "", &runtime);
        check("linux", "network_connection", "", &runtime);
        check("windows", "process_creation", "", &[]);
        check(
            "linux",
            "file_event",
            "",
            &[Source::Auditd, Source::Falco, Source::Tetragon, Source::FileIntegrity],
        );
        check(
            "",
            "application",
            "",
            &[Source::KubernetesAudit, Source::ContainerLog, Source::Application],
        );
    }
}
