//! Where the parts of one record go: events and dead letters, each with its place.

use casebook_event::{Cut, DeadLetter, Event, EventBatch, FieldId, Native, Position, Source, Timestamp, Value};
use compact_str::CompactString;

use super::envelope::Envelope;
use crate::format::json::UNREADABLE;
use crate::format::reject::Reject;
use crate::limits::MAX_CLOCK_SKEW_NANOS;
use crate::mask::{Digest, MaskedRecord, Removed};
use crate::normalize::pod_metadata;
use crate::normalize::set_place_of_file;
use crate::normalize::{Context, Normalized, content_id};
use crate::settings::TopicSettings;

/// Where the parts of one record go.
pub(super) struct Sink<'a> {
    /// Where the next part stands.
    position: Position,
    timestamp: Timestamp,
    ingested: Timestamp,
    settings: &'a TopicSettings,
    out: &'a mut EventBatch,
    /// Parts so far.
    pub(super) parts: u32,
    /// What was masked in the record.
    masked: MaskedRecord,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        position: Position,
        timestamp: Timestamp,
        ingested: Timestamp,
        settings: &'a TopicSettings,
        out: &'a mut EventBatch,
    ) -> Self {
        Self {
            position,
            timestamp,
            ingested,
            settings,
            out,
            parts: 0,
            masked: MaskedRecord::default(),
        }
    }

    /// Notes the record's text, and what was masked of it.
    pub(super) fn read(&mut self, text: &[u8], removed: Vec<Removed>) {
        self.masked = MaskedRecord::new(text, removed);
    }

    /// Goes on to the part of the record that `text` is.
    pub(super) fn enter(&mut self, text: &str) {
        self.masked.enter(text);
    }

    /// What is emitted from here on was joined from several records, of which this was masked.
    /// `None` where nothing is. Returns what was said before.
    pub(super) fn joined(&mut self, digest: Option<Digest>) -> Option<Digest> {
        std::mem::replace(&mut self.masked.joined, digest)
    }

    /// What was masked of the part under way.
    pub(super) fn digest(&self) -> Digest {
        self.masked.digest()
    }

    /// What a normalizer may read for the next part.
    pub(super) fn context<'b>(&'b self, raw: &'b str, envelope: &'b Envelope) -> Context<'b> {
        Context {
            raw,
            position: &self.position,
            timestamp: envelope.time.unwrap_or(self.timestamp),
            settings: self.settings,
            truncated: envelope.truncated,
            half: envelope.half,
            carried: envelope.time.is_some(),
            host: envelope.host(),
            place_in_file: envelope.file.as_deref().zip(envelope.offset),
            removed: self.masked.digest(),
        }
    }

    /// The topic that the record is of.
    pub(super) fn topic(&self) -> std::sync::Arc<str> {
        self.position.topic.clone()
    }

    fn take_position(&mut self) -> Position {
        let position = self.position.clone();
        self.position.index = position.index.saturating_add(1);
        self.parts += 1;
        position
    }

    /// Adds an event, with what the envelopes around it say.
    pub(super) fn event(&mut self, mut normalized: Normalized, raw: &str, envelope: &Envelope) {
        apply(envelope, raw, &mut normalized);
        if let Some(cluster) = &self.settings.cluster {
            set_new(
                &mut normalized.fields,
                FieldId::OrchestratorClusterName,
                cluster.as_str(),
            );
        }
        if envelope.truncated {
            normalized.fields.set(FieldId::Truncated, "true");
            // Nothing in what is left of it says when it was. Its identity is its text then, with what stands in for its time.
            if normalized.time == envelope.time.unwrap_or(self.timestamp) {
                let context = self.context(raw, envelope);
                context.mark_time(&mut normalized.fields);
                normalized.id = content_id(normalized.source, raw.as_bytes(), envelope.time, &context);
            }
        }
        self.check_time(&mut normalized);
        let version = normalized.source.identity_version();
        if version > 1 {
            normalized.fields.set(FieldId::IdentityVersion, version);
        }
        for kind in self.masked.kinds(raw) {
            normalized.fields.push(FieldId::Masked, kind);
        }
        let position = self.take_position();
        let Normalized {
            source,
            id,
            time,
            fields,
            native,
        } = normalized;
        self.out.events.push(Event {
            id,
            time,
            ingested: self.ingested,
            source,
            position,
            fields,
            native,
            raw: CompactString::new(raw),
        });
    }

    /// A time after the one at which the broker had the record is no time at which it can have happened. Whoever writes it keeps
    /// it, but the event says so. Files have no broker, and what they are read at says nothing.
    fn check_time(&self, normalized: &mut Normalized) {
        let ahead = normalized.time.as_nanos().saturating_sub(self.timestamp.as_nanos());
        if ahead > MAX_CLOCK_SKEW_NANOS && normalized.fields.get(FieldId::TimeOrigin).is_none() {
            normalized.fields.set(FieldId::TimeOrigin, "ahead");
        }
    }

    /// Rejects what came as `whole`, of which `kept` is what may be kept.
    pub(super) fn reject_part(&mut self, reject: Reject, kept: &[u8], whole: &[u8]) {
        self.reject(reject, kept);
        if let Some(letter) = self.out.dead_letters.last_mut() {
            letter.cut = Some(Cut::of(whole));
        }
    }

    pub(super) fn reject(&mut self, reject: Reject, payload: &[u8]) {
        let position = self.take_position();
        let Reject { reason, detail } = reject;
        let letter = DeadLetter::new(position, self.ingested, reason, &detail, payload);
        self.out.dead_letters.push(letter);
    }
}

/// What any envelope may say of any source: the machine, the cluster and the account, where the record does not.
const COMMON_PLACES: &[FieldId] = &[
    FieldId::HostName,
    FieldId::HostId,
    FieldId::KubernetesNodeName,
    FieldId::OrchestratorClusterName,
    FieldId::CloudProvider,
    FieldId::CloudAccountId,
    FieldId::CloudRegion,
    FieldId::CloudInstanceId,
];

/// Adds what the envelopes say of the place. The pod that a shipper names is the one that wrote the record: of what an
/// application prints that is the pod concerned, of what Falco or the API server prints it is not.
fn apply(envelope: &Envelope, raw: &str, normalized: &mut Normalized) {
    let own_output = matches!(
        normalized.source,
        Source::ContainerLog | Source::Application | Source::WebAccess
    );
    let fields = &mut normalized.fields;
    if own_output {
        if let Some(file) = &envelope.file {
            set_place_of_file(file, fields);
        }
        if let Some(metadata) = &envelope.kubernetes {
            pod_metadata::set(metadata, fields);
        }
    } else if let Some(node) = envelope
        .kubernetes
        .as_ref()
        .and_then(|metadata| metadata.str_at(&["host"]).or(metadata.str_at(&["node", "name"])))
    {
        set_new(fields, FieldId::KubernetesNodeName, node);
        set_new(fields, FieldId::HostName, node);
    }
    // The innermost envelope stands last and wins.
    for (id, text) in envelope.place.iter().rev() {
        if own_output || COMMON_PLACES.contains(id) {
            set_new(fields, *id, text);
        }
    }
    if let Some(file) = &envelope.file {
        set_new(fields, FieldId::LogFilePath, file);
    }
    if !envelope.entries.is_empty() || envelope.odd_count > 0 {
        let own = match std::mem::replace(&mut normalized.native, Native::NONE) {
            Native::Tree(value) => value,
            tape => tape.root(raw).to_value(),
        };
        let mut entries = match own {
            Value::Map(entries) => entries,
            _ => Vec::new(),
        };
        entries.extend(envelope.entries.iter().cloned());
        if envelope.odd_count > 0 {
            entries.push((UNREADABLE.into(), Value::Int(envelope.odd_count.into())));
        }
        normalized.native = Value::Map(entries).into();
    }
}

fn set_new(fields: &mut casebook_event::Fields, id: FieldId, text: &str) {
    if fields.get(id).is_none() {
        fields.set(id, text);
    }
}
