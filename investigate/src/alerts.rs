//! Alerts of a store: which there are, which concern an entity, and the events that one cites.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use casebook_event::{Alert, Binding, Event, EventId, Evidence};
use casebook_store::{AlertFilter, StoreError};
use serde::Serialize;

use crate::answer::{Answer, Grade, Statement};
use crate::archive::{Archive, Scope, ecs};
use crate::query::EventQuery;

/// Alerts that were asked for, the gravest first.
#[derive(Debug, Clone, Serialize)]
pub struct AlertList {
    /// As many as were asked for.
    pub alerts: Vec<Alert>,
    /// How many there are.
    pub total: u64,
}

/// The events that an alert cites.
#[derive(Debug, Clone, Serialize)]
pub struct CitedEvents {
    /// The alert.
    #[serde(skip)]
    pub alert: Alert,
    /// Those that are in the store, in order of time.
    #[serde(serialize_with = "ecs")]
    pub events: Vec<Event>,
    /// Those that are not: expired, or not committed yet.
    pub missing: Vec<Evidence>,
}

/// The alerts that a filter passes, at most `limit` of them.
///
/// # Errors
/// The table of alerts cannot be read.
pub async fn list(archive: &Archive<'_>, filter: AlertFilter, limit: usize) -> Result<Answer<AlertList>, StoreError> {
    let scope = Scope {
        from: filter.from,
        to: filter.to,
        sources: Vec::new(),
    };
    let (found, coverage) = tokio::join!(archive.store().alerts(filter), archive.coverage(&scope));
    let mut alerts = found?;
    alerts.sort_by(graver_first);
    let total = alerts.len() as u64;
    alerts.truncate(limit);
    let statements = alerts.iter().flat_map(statements).collect();
    Ok(archive.answer(AlertList { alerts, total }, statements, coverage, Vec::new()))
}

/// The alert whose id begins so; `None` where there is none.
///
/// # Errors
/// Several begin so, or the table of alerts cannot be read.
pub async fn by_id(archive: &Archive<'_>, id: &str) -> Result<Option<Answer<Alert>>, StoreError> {
    let Some(alert) = archive.store().alert(id).await? else {
        return Ok(None);
    };
    let coverage = archive.coverage(&window_of(&alert)).await;
    let statements = statements(&alert);
    Ok(Some(archive.answer(alert, statements, coverage, Vec::new())))
}

/// The events that an alert cites, whole; `None` where there is no alert whose id begins so.
///
/// # Errors
/// As [`by_id`], and where a log cannot be read.
pub async fn evidence(archive: &Archive<'_>, id: &str) -> Result<Option<Answer<CitedEvents>>, StoreError> {
    let Some(alert) = archive.store().alert(id).await? else {
        return Ok(None);
    };
    let scope = window_of(&alert);
    let cited = alert.evidence.iter().map(|evidence| (evidence.time, evidence.event_id));
    let (found, coverage) = tokio::join!(archive.by_ids(cited.collect()), archive.coverage(&scope));
    let mut events: Vec<Event> = found?.into_values().collect();
    events.sort_by_key(|event| (event.time, event.id));
    let known: BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
    let missing = alert.evidence.iter().filter(|one| !known.contains(&one.event_id));
    let missing = missing.cloned().collect();
    let statements = statements(&alert);
    let data = CitedEvents { alert, events, missing };
    Ok(Some(archive.answer(data, statements, coverage, Vec::new())))
}

/// The alerts of a range of time that concern an entity, the gravest first.
pub(crate) async fn about(
    archive: &Archive<'_>,
    scope: &Scope,
    events: &HashSet<EventId>,
    query: &EventQuery,
) -> Result<Vec<Alert>, StoreError> {
    let filter = AlertFilter {
        from: scope.from,
        to: scope.to,
        ..AlertFilter::default()
    };
    let mut alerts = archive.store().alerts(filter).await?;
    alerts.retain(|alert| concerns(alert, events, query));
    alerts.sort_by(graver_first);
    Ok(alerts)
}

/// Whether an alert cites one of these events, or names the entity in its evidence: the events may be gone.
fn concerns(alert: &Alert, events: &HashSet<EventId>, query: &EventQuery) -> bool {
    alert.evidence.iter().any(|evidence| {
        events.contains(&evidence.event_id)
            || query.names(evidence.time, &|id| {
                evidence.entities.get(id.name()).map(|value| value.as_str())
            })
    })
}

/// The identities of the events that alerts cite.
pub(crate) fn cited(alerts: &[Alert]) -> HashSet<EventId> {
    let evidence = alerts.iter().flat_map(|alert| &alert.evidence);
    evidence.map(|evidence| evidence.event_id).collect()
}

/// The gravest first; among equals, those that join more events, then the newest.
pub fn graver_first(a: &Alert, b: &Alert) -> Ordering {
    let key = |alert: &Alert| {
        (
            alert.rule.level,
            alert.rule.kind != "detection",
            sources(alert).len(),
            alert.alert.time,
        )
    };
    key(b).cmp(&key(a)).then_with(|| a.alert.id.cmp(&b.alert.id))
}

/// The names of the sources whose events an alert cites, each once.
pub fn sources(alert: &Alert) -> Vec<&'static str> {
    let mut names: Vec<_> = alert.evidence.iter().map(|evidence| evidence.source.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Enough of an alert's id to ask for it.
pub fn short_id(alert: &Alert) -> &str {
    alert.alert.id.get(..12).unwrap_or(&alert.alert.id)
}

/// The range of time that an alert is about.
fn window_of(alert: &Alert) -> Scope {
    Scope {
        from: Some(alert.window.from),
        to: Some(alert.window.to.max(alert.alert.time).saturating_add_nanos(1)),
        sources: Vec::new(),
    }
}

/// What was concluded for an alert: how its events came to the entity it is grouped by, and what took it back.
fn statements(alert: &Alert) -> Vec<Statement> {
    let of_events = alert.evidence.iter().filter_map(|evidence| {
        let about = format!("event:{}", evidence.event_id);
        Some(Statement::of_attribution(about, evidence.attributed.as_deref()?))
    });
    let retraction = alert.retraction.as_ref();
    let of_retraction = retraction.and_then(|retraction| retraction.learned.as_ref());
    of_events.chain(of_retraction.map(of_binding)).collect()
}

fn of_binding(binding: &Binding) -> Statement {
    Statement {
        about: binding.from.to_string(),
        is: (!binding.ends).then(|| binding.to.to_string()),
        grade: Grade::from(binding.confidence),
        by: vec![format!("{:?}", binding.how)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribution_is_a_statement_with_its_grade() {
        let alert: Alert = serde_json::from_value(serde_json::json!({
            "alert": {"id": "a", "revision": 1, "status": "final", "time": "2026-05-04T08:00:00Z"},
            "rule": {"id": "r", "name": "r", "level": "low", "type": "event_count", "version": "1", "tags": []},
            "group": {},
            "window": {"from": "2026-05-04T08:00:00Z", "to": "2026-05-04T08:00:00Z"},
            "evidence_total": 2,
            "evidence": [
                {"event_id": "00000000000000000000000000000001", "time": "2026-05-04T08:00:00Z", "source": "auth",
                 "rule_id": "r", "position": {"topic": "t", "partition": 0, "offset": 1, "index": 0}, "entities": {},
                 "attributed": {"entity": "u1", "confidence": "likely", "how": ["a is b"]}},
                {"event_id": "00000000000000000000000000000002", "time": "2026-05-04T08:00:00Z", "source": "auth",
                 "rule_id": "r", "position": {"topic": "t", "partition": 0, "offset": 2, "index": 0}, "entities": {},
                 "attributed": {"entity": "u1", "confidence": "certain", "how": [], "ambiguous": ["u2"]}},
            ],
        }))
        .unwrap();
        let found = statements(&alert);
        let words: Vec<&str> = found.iter().map(|one| one.grade.word()).collect();
        assert_eq!(words, ["inferred", "ambiguous"]);
        assert_eq!(found[0].about, "event:00000000000000000000000000000001");
        assert_eq!(found[0].by, ["a is b"]);
    }
}
