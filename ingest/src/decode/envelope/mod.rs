//! Here is a value, give me the record inside: what shippers, clouds and queues put around one is opened here, so that a normalizer
//! only sees what its source wrote.
//!
//! ```text
//! Value ─open─┬─ Leaf(Value)                            the source's own record
//!             ├─ One { inner, Envelope }                Fluent Bit, Vector, Filebeat, Logstash, Pub/Sub, SNS, Cloud Logging
//!             └─ Many { [member], Envelope }            CloudWatch subscriptions, Azure Event Hub, OTLP, Kubernetes lists
//! ```
//!
//! What an envelope says about the place (host, file, pod, account) becomes fields where the record itself says nothing;
//! its own entries stay reachable beside the record's. An envelope never makes a container's output into another source's
//! record: whatever runs in a pod could print that. Only a topic whose source is configured does.

mod cloud;
mod opened;
mod otlp;
mod shipper;

use casebook_event::Value;

use crate::format::reject::Reject;
use crate::source_kind::SourceKind;
use casebook_event::json::Members;
pub(crate) use opened::{Batch, Envelope, Inner, Member, Opened, wants_inner};

/// Opens `value` for a topic of `kind`, inside `outer`.
///
/// # Errors
/// It is an envelope, and what is inside cannot be had (broken base64).
pub(crate) fn open(value: Value, kind: SourceKind, outer: &Envelope) -> Result<Opened, Reject> {
    // That it is a container's output may have stood after its end.
    let hidden = outer.truncated && !wants_inner(kind);
    let opened = if let Some(batch) = batch_of(&value) {
        let envelope = match batch {
            Batch::Key("logEvents") => cloud::cloudwatch(&value),
            Batch::Key("items") => Envelope::named("a Kubernetes list"),
            Batch::Key("records") => Envelope::named("Azure Event Hub records"),
            Batch::Key(_) => Envelope::named("CloudTrail records"),
            Batch::Otlp => Envelope::named("an OpenTelemetry request"),
        };
        Opened::Many(batch, Box::new(envelope))
    } else if hidden && cloud::is_log_entry_of_unknown(&value) {
        Opened::Leaf(value)
    } else {
        let opened = cloud::open(value, kind)?;
        match opened {
            Opened::Leaf(value) if hidden => Opened::Leaf(value),
            Opened::Leaf(value) => shipper::open(value, kind, outer),
            opened => opened,
        }
    };
    Ok(match opened {
        Opened::Leaf(value) => Opened::Leaf(value),
        Opened::One(inner, envelope) => Opened::One(inner, Box::new(envelope.within(outer))),
        // Which member was cut is seen at each of them.
        Opened::Many(batch, envelope) => Opened::Many(
            batch,
            Box::new(Envelope {
                truncated: false,
                half: false,
                odd_count: 0,
                ..envelope.within(outer)
            }),
        ),
    })
}

/// Which envelope of several records this is.
fn batch_of(value: &Value) -> Option<Batch> {
    let list = |key: &str| value.get(key).and_then(Value::as_list);
    let holds = |key: &str, mark: &[&str]| {
        list(key).is_some_and(|items| {
            items.is_empty()
                || items
                    .iter()
                    .any(|item| mark.iter().any(|mark| item.get(mark).is_some()))
        })
    };
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "EventList" | "List") && list("items").is_some() {
        return Some(Batch::Key("items"));
    }
    if holds("Records", &["eventSource"]) {
        return Some(Batch::Key("Records"));
    }
    if holds("Events", &["CloudTrailEvent"]) {
        return Some(Batch::Key("Events"));
    }
    if list("logEvents").is_some() && value.get("logGroup").is_some() {
        return Some(Batch::Key("logEvents"));
    }
    if holds("records", &["operationName", "category"]) {
        return Some(Batch::Key("records"));
    }
    list("resourceLogs").is_some().then_some(Batch::Otlp)
}

/// The text slices of the members of `text`, each with what its own part of the envelope says.
pub(crate) fn members(text: &str, batch: Batch) -> Vec<(&str, Option<Envelope>)> {
    match batch {
        Batch::Key(key) => Members::of_object(text, &[key])
            .map(|members| members.map(|slice| (slice, None)).collect())
            .unwrap_or_default(),
        Batch::Otlp => otlp::members(text),
    }
}

/// What the members of a batch are.
pub(crate) fn member_of(batch: Batch) -> Member {
    match batch {
        Batch::Key("logEvents") => Member::Wrapped(cloud::cloudwatch_event),
        Batch::Otlp => Member::Wrapped(otlp::record),
        Batch::Key(_) => Member::Record,
    }
}
