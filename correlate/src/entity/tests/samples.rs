//! Events for tests, as the decoders make them.

use casebook_event::{Event, EventId, FieldId, Fields, Position, Source, Timestamp, Value};

/// An event as the decoders make it: the normalized fields, and the source's own record.
pub(crate) fn event(source: Source, seconds: i64, fields: &[(FieldId, &str)], native: &str) -> Event {
    let mut normalized = Fields::new();
    for (id, text) in fields {
        match id.info().field_type {
            casebook_event::FieldType::Long => normalized.set(*id, text.parse::<i64>().unwrap()),
            _ => normalized.set(*id, *text),
        }
    }
    Event {
        id: EventId::from_u128(1),
        time: Timestamp::from_seconds(seconds),
        ingested: Timestamp::from_seconds(seconds),
        source,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            index: 0,
        },
        fields: normalized,
        native: serde_json::from_str::<Value>(native).expect(native).into(),
        raw: native.into(),
    }
}

/// An audit event of a request that went well.
pub(crate) fn audit(seconds: i64, verb: &str, resource: &str, fields: &[(FieldId, &str)], native: &str) -> Event {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let mut all = vec![
        (FieldId::EventAction, verb),
        (FieldId::EventOutcome, "success"),
        (FieldId::OrchestratorResourceType, resource),
        (FieldId::OrchestratorResourceSubresource, subresource),
        (FieldId::KubernetesAuditStage, "ResponseComplete"),
    ];
    all.extend_from_slice(fields);
    event(Source::KubernetesAudit, seconds, &all, native)
}

pub(crate) const ABOUT_WEB: &[(FieldId, &str)] = &[
    (FieldId::OrchestratorNamespace, "shop"),
    (FieldId::OrchestratorResourceName, "web-1"),
    (FieldId::KubernetesPodName, "web-1"),
];
