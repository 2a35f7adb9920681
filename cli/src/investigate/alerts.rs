//! Which alerts are part of an entity's story.

use std::collections::HashSet;

use casebook_event::{Alert, EventId};

use super::entity_query::EntityQuery;

/// Whether an alert cites one of these events, or names the entity in its evidence: the events may be gone.
pub fn concerns(alert: &Alert, events: &HashSet<EventId>, query: &EntityQuery) -> bool {
    alert.evidence.iter().any(|evidence| {
        events.contains(&evidence.event_id)
            || query.names(evidence.time, &|id| {
                evidence.entities.get(id.name()).map(|value| value.as_str())
            })
    })
}

/// The identities of the events that alerts cite.
pub fn cited(alerts: &[Alert]) -> HashSet<EventId> {
    let evidence = alerts.iter().flat_map(|alert| &alert.evidence);
    evidence.map(|evidence| evidence.event_id).collect()
}
