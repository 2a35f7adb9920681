//! From a report to an alert.

use std::collections::BTreeMap;

use casebook_event::{Alert, AlertHead, AlertRule, AlertStatus, AlertWindow, Entities, EventRef, Evidence};
use compact_str::CompactString;

use super::group::{Entry, Events, EvidenceSubset, Report, alert_id};
use super::plan::CorrelationPlan;
use crate::sigma::correlation::CorrelationKind;

/// A hash of what an alert says beside its revision and status: window, evidence and totals.
pub(super) fn content_of(alert: &Alert) -> u64 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for number in [
        alert.window.from.as_nanos(),
        alert.window.to.as_nanos(),
        alert.alert.time.as_nanos(),
    ] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&alert.evidence_total.to_le_bytes());
    for evidence in &alert.evidence {
        hasher.update(&evidence.event_id.as_u128().to_le_bytes());
        let position = &evidence.position;
        hasher.update(position.topic.as_bytes());
        hasher.update(&position.partition.to_le_bytes());
        hasher.update(&position.offset.to_le_bytes());
        hasher.update(&position.index.to_le_bytes());
        hasher.update(evidence.rule_id.as_bytes());
        if let Some(attributed) = &evidence.attributed {
            hasher.update(attributed.entity.as_bytes());
            hasher.update(&[attributed.confidence as u8, attributed.ambiguous.len() as u8]);
            attributed.how.iter().for_each(|step| hasher.update(step.as_bytes()));
        }
    }
    hasher.digest()
}

/// The alert of a base rule's match.
pub(crate) fn detection_alert(rule: &AlertRule, event: EventRef) -> Alert {
    let time = event.time;
    Alert {
        alert: AlertHead {
            id: alert_id(&rule.id, &[], event.event_id),
            revision: 1,
            status: AlertStatus::Final,
            time,
            superseded_by: None,
        },
        group: BTreeMap::new(),
        window: AlertWindow { from: time, to: time },
        evidence_total: 1,
        evidence: vec![evidence(rule.id.clone(), event)],
        rule: rule.clone(),
        retraction: None,
    }
}

/// The alert of a correlation's report.
pub(crate) fn correlation_alert(
    plan: &CorrelationPlan,
    events: &Events,
    values: &[CompactString],
    report: Report,
) -> Alert {
    let Report {
        id,
        revision,
        status,
        superseded_by,
        window,
    } = report;
    let entries = events.between(window.first, window.to);
    let totals = entries
        .clone()
        .map(|entry| entry.evidence.as_ref().map_or(1, |evidence| evidence.total));
    let evidence_total = totals.sum();
    let to = match &plan.kind {
        // What did not come did not come in all of it.
        CorrelationKind::Absence(_) => window.to,
        _ => entries
            .clone()
            .next_back()
            .map_or(window.first, |entry| entry.event.time),
    };
    Alert {
        alert: AlertHead {
            id,
            revision,
            status,
            time: window.met,
            superseded_by,
        },
        rule: plan.rule.clone(),
        group: plan.shown(values).collect(),
        window: AlertWindow { from: window.first, to },
        evidence_total,
        evidence: entries
            .flat_map(|entry| match &entry.evidence {
                Some(evidence) => evidence.events.clone(),
                None => vec![Evidence {
                    attributed: entry.attributed.clone(),
                    ..evidence(matched(plan, entry), entry.event.clone())
                }],
            })
            .take(Alert::MAX_EVIDENCE_EVENTS)
            .collect(),
        retraction: None,
    }
}

/// The alert of a correlation as an event of another one, which takes `value` from it.
pub(super) fn entry_of(alert: &Alert, members: u64, value: Option<CompactString>) -> Option<Entry> {
    let first = alert.evidence.first()?;
    Some(Entry {
        members,
        value,
        event: EventRef {
            event_id: alert.alert.id.parse().ok()?,
            time: alert.alert.time,
            source: first.source,
            position: first.position.clone(),
            entities: Entities::default(),
        },
        evidence: Some(Box::new(EvidenceSubset {
            total: alert.evidence_total,
            events: alert.evidence.clone(),
        })),
        attributed: None,
    })
}

/// The base rule that an event is cited for: the first in the rule's order that it matched.
fn matched(plan: &CorrelationPlan, entry: &Entry) -> CompactString {
    plan.members
        .get(entry.members.trailing_zeros() as usize)
        .map_or_else(CompactString::default, CompactString::new)
}

pub(super) fn evidence(rule_id: CompactString, event: EventRef) -> Evidence {
    Evidence {
        event_id: event.event_id,
        time: event.time,
        source: event.source,
        rule_id,
        position: event.position,
        entities: event
            .entities
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        attributed: None,
    }
}
