//! What an entity is, for people and as one JSON object.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::Result;
use casebook_event::{Confidence, Identifier, IdentifierKind, Value};
use casebook_investigate::entity::ObservedBinding;
use casebook_investigate::profile::Profile;

use super::{alert, wording};
use crate::output::answer::{Layout, Section};
use crate::output::escaping::escape;
use crate::output::json_format;
use crate::output::rows::{Rows, count, counted};

/// Bindings that a table shows; JSON has them all.
const MOST_BINDINGS: usize = 40;
/// Days that a table shows, the latest; JSON has them all.
const MOST_DAYS: usize = 31;
/// Alerts that a table shows, the gravest; JSON has them all.
const MOST_ALERTS: usize = 15;

/// See [`Layout`].
pub struct ProfileLayout<'a>(pub &'a Profile);

impl Layout for ProfileLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        let profile = self.0;
        let mut alerts = alert::list_rows(profile.alerts.get(..MOST_ALERTS).unwrap_or(&profile.alerts));
        keep(&mut alerts, &["id", "level", "time", "events", "sources", "rule"]);
        let mut neighbors = Rows::new(&["kind", "events", "name"]);
        for neighbor in &profile.neighbors {
            neighbors.rows.push(vec![
                Value::str(neighbor.kind),
                count(neighbor.events),
                Value::from(neighbor.entity().unwrap_or_else(|| neighbor.value.clone())),
            ]);
        }
        let mut sections = vec![Section {
            heading: head(profile),
            ..Section::default()
        }];
        let more = |total: usize, shown: usize, what: &str| match total.saturating_sub(shown) {
            0 => String::new(),
            n => format!(
                "and {}; --output json has them all\n",
                counted(n, &format!("more {what}"))
            ),
        };
        let alerts_left = more(profile.alerts.len(), MOST_ALERTS, "alert");
        let bindings_left = more(profile.bindings.len(), MOST_BINDINGS, "binding");
        for (title, rows, footing) in [
            ("events by day", day_rows(profile), String::new()),
            ("alerts", alerts, alerts_left),
            ("bindings", binding_rows(&profile.bindings), bindings_left),
            ("neighbors", neighbors, String::new()),
        ] {
            if !rows.rows.is_empty() {
                sections.push(Section {
                    heading: format!("\n{title}\n"),
                    rows: Some(rows),
                    footing,
                });
            }
        }
        sections
    }

    /// A profile is no list: its table of days is what comes nearest.
    fn rows(&self) -> Rows {
        day_rows(self.0)
    }

    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        json_format::write_line(&serde_json::to_value(self.0)?, out)
    }
}

/// What stands above the tables.
fn head(profile: &Profile) -> String {
    let mut text = format!("{} {}\n", profile.kind, escape(&profile.name));
    let mut line = |name: &str, value: &str| {
        text.push_str(&format!("{name:<13} {}\n", escape(value)));
    };
    if let Some(cluster) = &profile.cluster {
        line("cluster", cluster);
    }
    let is_own = |id: &Identifier| *id.value == *profile.name && profile.entity.is_in(&id.cluster);
    for id in profile.names.iter().filter(|id| !is_own(id) || !id.cluster.is_empty()) {
        line(kind_word(id.kind), &id.qualified());
    }
    if let (Some(first), Some(last)) = (profile.first_seen, profile.last_seen) {
        let (from, to) = (wording::brief(first), wording::brief(last));
        line("seen", &format!("{from} to {to} ({})", wording::span(first, last)));
    }
    line("events", &profile.events.to_string());
    text
}

/// Only these columns, in this order.
fn keep(rows: &mut Rows, columns: &[&str]) {
    let positions: Vec<usize> = columns
        .iter()
        .filter_map(|name| rows.columns.iter().position(|known| known == name))
        .collect();
    for row in &mut rows.rows {
        *row = positions.iter().filter_map(|at| row.get(*at).cloned()).collect();
    }
    rows.columns = columns.iter().map(|&name| name.to_owned()).collect();
}

/// A row for each day, a column for each source.
fn day_rows(profile: &Profile) -> Rows {
    let counts: BTreeMap<_, u64> = profile
        .days
        .iter()
        .map(|one| ((one.day.as_str(), one.source), one.events))
        .collect();
    let sources: BTreeSet<_> = profile.days.iter().map(|one| one.source).collect();
    let days: BTreeSet<&str> = profile.days.iter().map(|one| one.day.as_str()).collect();
    let names: Vec<&str> = ["day"]
        .into_iter()
        .chain(sources.iter().map(|source| source.name()))
        .collect();
    let mut rows = Rows::new(&names);
    for day in days.iter().skip(days.len().saturating_sub(MOST_DAYS)) {
        let of_day = sources
            .iter()
            .map(|source| count(counts.get(&(*day, *source)).copied().unwrap_or_default()));
        rows.rows.push([Value::str(day)].into_iter().chain(of_day).collect());
    }
    rows
}

fn binding_rows(bindings: &[ObservedBinding]) -> Rows {
    let mut rows = Rows::new(&["from", "to", "times", "confidence", "by", "what", "is"]);
    for binding in bindings.iter().take(MOST_BINDINGS) {
        let last = match binding.ended {
            Some(end) => format!("{} †", wording::brief(end)),
            None => wording::brief(binding.last),
        };
        rows.rows.push(vec![
            Value::from(wording::brief(binding.first)),
            Value::from(last),
            count(binding.times),
            Value::str(confidence(binding.confidence)),
            Value::from(snake(&format!("{:?}", binding.how))),
            Value::from(format!("{} {}", kind_word(binding.from.kind), binding.from.qualified())),
            Value::from(format!("{} {}", kind_word(binding.to.kind), binding.to.qualified())),
        ]);
    }
    rows
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guessed => "guessed",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}

fn kind_word(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::PodUid => "pod uid",
        IdentifierKind::PodName => "pod",
        IdentifierKind::PodIp => "pod ip",
        IdentifierKind::ContainerId => "container",
        IdentifierKind::NodeName => "node",
        IdentifierKind::NodeIp => "node ip",
        IdentifierKind::InstanceId => "machine",
        IdentifierKind::Image => "image",
        IdentifierKind::ServiceAccount => "sa",
        IdentifierKind::Workload => "workload",
        IdentifierKind::RoleSession => "session",
        IdentifierKind::Identity => "user",
    }
}

/// `AuditPod` as `audit_pod`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use casebook_event::How;

    use super::*;

    #[test]
    fn words_are_those_of_json() {
        assert_eq!(snake("AuditPodStatus"), "audit_pod_status");
        for how in [How::AuditPodStatus, How::CloudRole, How::NameForm] {
            assert_eq!(serde_json::json!(how), snake(&format!("{how:?}")));
        }
        for known in [Confidence::Guessed, Confidence::Likely, Confidence::Certain] {
            assert_eq!(serde_json::json!(known), confidence(known));
        }
    }
}
