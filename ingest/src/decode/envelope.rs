//! What shippers, clouds and queues put around a record: opened here, so that a normalizer only sees what its source wrote.
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
mod otlp;
mod shipper;

use casebook_event::{FieldId, Source, Timestamp, Value};
use compact_str::CompactString;

use super::SourceKind;
use super::reject::Reject;

/// What the envelopes around a record say about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Envelope {
    /// When the shipper or the queue says it happened: stands in where the record has no time of its own.
    pub(crate) time: Option<Timestamp>,
    /// The place: outer envelopes first, the innermost wins.
    pub(crate) place: Vec<(FieldId, CompactString)>,
    /// The `kubernetes` object of a shipper.
    pub(crate) kubernetes: Option<Value>,
    /// The file that a shipper read.
    pub(crate) file: Option<CompactString>,
    /// Where in that file the record began, in bytes.
    pub(crate) offset: Option<i64>,
    /// The envelope's own entries, without the record.
    pub(crate) entries: Vec<(CompactString, Value)>,
    /// The record is a container's output.
    pub(crate) container: bool,
    /// The record was text in another encoding (base64): what the queue delivered cannot be searched.
    pub(crate) encoded: bool,
    /// The record, or an envelope around it alone, ended too early.
    pub(crate) truncated: bool,
    /// The text inside is one that was cut itself.
    pub(crate) half: bool,
    /// How many values of these could not be read as they are written.
    pub(crate) odd_count: u32,
    /// What the envelopes are, the outermost first.
    pub(crate) names: Vec<&'static str>,
}

impl Envelope {
    /// No envelope.
    pub(crate) const NONE: Self = Self {
        time: None,
        place: Vec::new(),
        kubernetes: None,
        file: None,
        offset: None,
        entries: Vec::new(),
        container: false,
        encoded: false,
        truncated: false,
        half: false,
        odd_count: 0,
        names: Vec::new(),
    };

    /// An envelope of that name.
    fn named(name: &'static str) -> Self {
        Self {
            names: vec![name],
            ..Self::NONE
        }
    }

    /// The machine, as the innermost envelope that names one calls it.
    pub(crate) fn host(&self) -> Option<&str> {
        let mut named = self.place.iter().rev().filter(|(id, _)| *id == FieldId::HostName);
        named.next().map(|(_, text)| text.as_str())
    }

    /// Notes a place, if it says anything.
    pub(crate) fn set(&mut self, id: FieldId, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.place.push((id, text.into()));
        }
    }

    /// This envelope inside `outer`.
    pub(crate) fn within(mut self, outer: &Envelope) -> Self {
        let mut place = outer.place.clone();
        place.append(&mut self.place);
        let mut entries = self.entries;
        entries.extend(outer.entries.iter().cloned());
        let mut names = outer.names.clone();
        names.append(&mut self.names);
        Self {
            time: self.time.or(outer.time),
            place,
            kubernetes: self.kubernetes.or_else(|| outer.kubernetes.clone()),
            file: self.file.or_else(|| outer.file.clone()),
            offset: self.offset.or(outer.offset),
            entries,
            container: self.container || outer.container,
            encoded: self.encoded || outer.encoded,
            truncated: self.truncated || outer.truncated,
            half: self.half || outer.half,
            odd_count: self.odd_count.saturating_add(outer.odd_count),
            names,
        }
    }
}

/// What is inside an envelope.
#[derive(Debug)]
pub(crate) enum Inner {
    /// A text: JSON or a line.
    Text(String),
    /// A value that is part of the envelope's own JSON.
    Value(Value),
}

/// A value, opened.
#[derive(Debug)]
pub(crate) enum Opened {
    /// No envelope: a source's own record.
    Leaf(Value),
    /// An envelope around one record.
    One(Inner, Box<Envelope>),
    /// An envelope around several: where their texts are, and what goes for all.
    Many(Batch, Box<Envelope>),
}

/// Where the members of an envelope are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// In the array under this key; each is a record, or an envelope of its own.
    Key(&'static str),
    /// In the three levels of OTLP.
    Otlp,
}

/// Opens `value` for a topic of `kind`, inside `outer`.
///
/// # Errors
/// It is an envelope, and what is inside cannot be had (broken base64).
pub(crate) fn open(value: Value, kind: SourceKind, outer: &Envelope) -> Result<Opened, Reject> {
    // That it is a container's output may have stood behind its end.
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
        Batch::Key(key) => super::Members::of_object(text, &[key])
            .map(|members| members.map(|slice| (slice, None)).collect())
            .unwrap_or_default(),
        Batch::Otlp => otlp::members(text),
    }
}

/// What a member of a batch is.
pub(crate) enum Member {
    /// A record, or an envelope of a form that stands alone too.
    Record,
    /// An envelope whose form only that batch has; it is told whether it is to be taken for no other source's record, since what
    /// says that it is a container's output may have stood behind its end.
    Wrapped(fn(Value, bool) -> (Inner, Envelope)),
}

/// What the members of a batch are.
pub(crate) fn member_of(batch: Batch) -> Member {
    match batch {
        Batch::Key("logEvents") => Member::Wrapped(cloud::cloudwatch_event),
        Batch::Otlp => Member::Wrapped(otlp::record),
        Batch::Key(_) => Member::Record,
    }
}

/// Whether what a container prints goes for a record of `source`: only on a topic that says so.
pub(crate) fn wants_inner(kind: SourceKind) -> bool {
    !matches!(
        kind,
        SourceKind::Auto | SourceKind::Source(Source::ContainerLog | Source::Application)
    )
}
