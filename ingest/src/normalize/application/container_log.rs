//! Container output: CRI lines, docker's json-file records, and either as a shipper forwards it.
//!
//! Nothing in a line says which line of the container it is. Its identity is the time (nanoseconds), the stream, the text
//! and the pod, where that is known: the same text twice at the same nanosecond in the same stream counts once.

use std::borrow::Cow;

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};
use compact_str::CompactString;

use super::{application_fields, plain_text};
use crate::format::cri::CriLine;
use crate::format::reject::{self, Reject};
use crate::format::{epoch, json};
use crate::limits::MAX_NESTED_JSON_BYTES;
use crate::normalize::context::{Context, Normalized, content_id};
use crate::normalize::kubernetes::pod_metadata;
use crate::settings::TrustedProxies;

/// A container's line under way.
#[derive(Debug)]
pub(crate) struct ContainerLine<'a> {
    pub(crate) time: Option<Timestamp>,
    pub(crate) stream: CompactString,
    pub(crate) message: Cow<'a, str>,
    pub(crate) partial: bool,
    pub(crate) entries: Vec<(CompactString, Value)>,
}

impl<'a> ContainerLine<'a> {
    pub(crate) fn of_cri(line: &CriLine<'a>) -> Self {
        Self {
            time: Some(line.time),
            stream: line.stream.into(),
            message: line.message.into(),
            partial: line.is_partial(),
            entries: vec![
                ("time".into(), Value::str(line.time_text)),
                ("stream".into(), Value::str(line.stream)),
                ("logtag".into(), Value::str(line.tags)),
                ("log".into(), Value::str(line.message)),
            ],
        }
    }

    /// A line of which only an envelope says that it is a container's.
    pub(crate) fn of_text(text: &'a str, time: Option<Timestamp>) -> Self {
        Self {
            time,
            stream: CompactString::default(),
            message: text.into(),
            partial: false,
            entries: vec![("log".into(), Value::str(text))],
        }
    }

    /// A docker json-file record (`log`, `stream`, `time`), or what a shipper made of a line.
    ///
    /// # Errors
    /// Nothing in it is a text.
    pub(crate) fn of_object(value: Value) -> Result<ContainerLine<'static>, Reject> {
        let Value::Map(entries) = value else {
            return Err(Reject::new(reject::WRONG_SHAPE, "no JSON object"));
        };
        let find = |key: &str| entries.iter().find(|(k, _)| k == key).map(|(_, value)| value);
        let text = |key: &str| find(key).and_then(Value::as_str);
        let Some(whole) = ["log", "message", "MESSAGE"].iter().find_map(|key| text(key)) else {
            return Self::of_merged(entries);
        };
        // A shipper that does not parse the runtime's format forwards the whole line.
        let cri = CriLine::parse(whole);
        let message = cri
            .as_ref()
            .map_or(whole, |line| line.message)
            .trim_end_matches(['\r', '\n'])
            .to_owned();
        let stream = cri.as_ref().map(|line| line.stream).or(text("stream"));
        let time = match &cri {
            Some(line) => Some(line.time),
            None => TIME_KEYS.iter().find_map(|key| find(key).and_then(epoch::parse)),
        };
        // docker ends a whole line with its newline. Only its own form says so: shippers cut newlines off.
        let docker = text("log").is_some()
            && text("stream").is_some()
            && text("time").is_some()
            && entries
                .iter()
                .all(|(key, _)| matches!(key.as_str(), "log" | "stream" | "time" | "attrs"));
        let partial = match &cri {
            Some(line) => line.is_partial(),
            None => {
                text("logtag") == Some("P")
                    || find("_partial") == Some(&Value::Bool(true))
                    || (docker && !whole.ends_with('\n'))
            }
        };
        Ok(ContainerLine {
            time,
            stream: stream.unwrap_or_default().into(),
            message: message.into(),
            partial,
            entries,
        })
    }

    /// What the container wrote as JSON, in whose place a shipper has put its keys (Fluent Bit: a parser, or `Merge_Log` without
    /// `Keep_Log`). The text is made again from what is not the shipper's.
    fn of_merged(entries: Vec<(CompactString, Value)>) -> Result<ContainerLine<'static>, Reject> {
        let (own, merged): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(key, _)| SHIPPER_KEYS.contains(&key.as_str()));
        let find = |key: &str| own.iter().find(|(k, _)| k == key).map(|(_, value)| value);
        let shipped = matches!(find("kubernetes"), Some(Value::Map(_))) || find("stream").is_some();
        if !shipped || merged.is_empty() {
            return Err(Reject::new(
                reject::WRONG_SHAPE,
                "no container log: neither log nor message is a text",
            ));
        }
        Ok(ContainerLine {
            time: TIME_KEYS.iter().find_map(|key| find(key).and_then(epoch::parse)),
            stream: find("stream").and_then(Value::as_str).unwrap_or_default().into(),
            message: serde_json::to_string(&Value::Map(merged)).unwrap_or_default().into(),
            partial: false,
            entries: own,
        })
    }

    /// The line with a text of its own.
    pub(crate) fn into_owned(self) -> ContainerLine<'static> {
        ContainerLine {
            time: self.time,
            stream: self.stream,
            message: Cow::Owned(self.message.into_owned()),
            partial: self.partial,
            entries: self.entries,
        }
    }

    /// Adds the message of a further part.
    pub(crate) fn append(&mut self, separator: &str, message: &str) {
        let text = self.message.to_mut();
        text.push_str(separator);
        text.push_str(message);
    }

    /// The same line with another message, of which `first` stands in the line's own record.
    pub(crate) fn with_message(mut self, first: &str, message: String) -> Self {
        self.message = Cow::Owned(message);
        for (key, value) in &mut self.entries {
            if matches!(key.as_str(), "log" | "message" | "MESSAGE") && value.as_str().is_some() {
                *value = Value::str(first);
            }
        }
        self
    }

    /// Calls `visit` with what the record says of the container it is of.
    pub(crate) fn place(&self, visit: &mut dyn FnMut(&str)) {
        for (key, value) in &self.entries {
            match key.as_str() {
                "kubernetes" if pod_metadata::is_among(&self.entries, value) => {
                    for path in [&["pod_name"], &["namespace_name"], &["container_name"], &["docker_id"]] {
                        visit(value.str_at(path).unwrap_or_default());
                    }
                }
                "file" | "filename" | "path" | "container_id" | "container_name" => {
                    visit(value.as_str().unwrap_or_default());
                }
                _ => {}
            }
        }
    }
}

/// What shippers put beside a container's own keys.
const SHIPPER_KEYS: &[&str] = &[
    "stream",
    "time",
    "@timestamp",
    "date",
    "logtag",
    "_p",
    "kubernetes",
    "tag",
];

/// Where shippers put the time of a line, best first.
const TIME_KEYS: &[&str] = &["time", "@timestamp", "timestamp", "date", "ts"];

/// A line, whole or as much of it as there is.
pub(crate) fn normalize(mut line: ContainerLine<'_>, context: &Context<'_>) -> Normalized {
    let find = |key: &str| line.entries.iter().find(|(k, _)| k == key).map(|(_, value)| value);
    let text = |key: &str| find(key).and_then(Value::as_str);
    let mut fields = Fields::new();
    let cut = line.partial || context.half;
    let nested = set_message(&line.message, cut, &context.settings.trusted_proxies, &mut fields);
    if let Some(path) = ["file", "filename", "path"]
        .iter()
        .find_map(|key| text(key))
        .or_else(|| find("log")?.str_at(&["file", "path"]))
    {
        set_place_of_file(path, &mut fields);
        fields.set(FieldId::LogFilePath, path);
    }
    set_place_of_file(&context.position.topic, &mut fields);
    if let Some(metadata) = pod_metadata::among(&line.entries) {
        pod_metadata::set(metadata, &mut fields);
    }
    if let Some(container) = find("container") {
        fields.set_str(FieldId::ContainerId, container.str_at(&["id"]));
        fields.set_str(FieldId::ContainerRuntime, container.str_at(&["runtime"]));
        fields.set_str(FieldId::ContainerImageName, container.str_at(&["image", "name"]));
    }
    fields.set_str(
        FieldId::OrchestratorClusterName,
        text("cluster").or(text("cluster_name")),
    );
    let id = match line.time {
        Some(time) => line_id(time, &line.stream, &line.message, &fields),
        None => {
            context.mark_time(&mut fields);
            content_id(Source::ContainerLog, context.raw.as_bytes(), None, context)
        }
    };
    if line.partial {
        line.entries.push(("partial".into(), Value::Bool(true)));
    }
    Normalized {
        source: Source::ContainerLog,
        id,
        time: line.time.unwrap_or(context.timestamp),
        fields,
        native: merge(line.entries, nested).into(),
    }
}

fn line_id(time: Timestamp, stream: &str, message: &str, fields: &Fields) -> EventId {
    let of = |id: FieldId| fields.str(id).unwrap_or_default().as_bytes();
    EventId::from_parts(
        Source::ContainerLog,
        &[
            &time.as_nanos().to_le_bytes(),
            stream.as_bytes(),
            message.as_bytes(),
            of(FieldId::OrchestratorNamespace),
            of(FieldId::KubernetesPodName),
            of(FieldId::ContainerName),
        ],
    )
}

/// Sets what the text itself says, and returns the record it is, if it is one: JSON's object, or logfmt's and an access log's
/// parts. The place, and the time, are the runtime's and the shipper's to say.
fn set_message(message: &str, partial: bool, proxies: &TrustedProxies, fields: &mut Fields) -> Option<Value> {
    fields.set(FieldId::EventKind, "event");
    if partial {
        fields.set(FieldId::Truncated, "true");
    }
    let nested = Some(message.trim())
        .filter(|text| text.starts_with('{') && text.len() <= MAX_NESTED_JSON_BYTES)
        .and_then(|text| nested_object(text, fields));
    let nested = match nested {
        Some(value) => {
            application_fields::set_inner(&value, proxies, fields);
            Some(value)
        }
        None => {
            // Half an address is another address.
            let whole = if partial { json::whole_words(message) } else { message };
            let read = plain_text::read(whole, proxies, fields);
            (!read.native.is_empty()).then_some(Value::Map(read.native))
        }
    };
    // The whole line, so that a rule on the text sees what is in the object's other fields too.
    fields.set(FieldId::Message, message);
    nested
}

/// The object that a text is, with as much of it as can be read.
fn nested_object(text: &str, fields: &mut Fields) -> Option<Value> {
    if text.ends_with('}')
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return matches!(value, Value::Map(_)).then_some(value);
    }
    let recovered = json::recover_all(text)?;
    if recovered.cut {
        fields.set(FieldId::Truncated, "true");
    }
    Some(recovered.into_marked())
}

/// The message's own entries after the record's: a rule reaches both, and neither hides the other.
fn merge(mut entries: Vec<(CompactString, Value)>, nested: Option<Value>) -> Value {
    if let Some(Value::Map(inner)) = nested {
        entries.extend(inner);
    }
    Value::Map(entries)
}

/// The kubelet's file names say whose output they hold: `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log`, and
/// `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`.
pub(crate) fn set_place_of_file(path: &str, fields: &mut Fields) {
    let mut parts = path.rsplit('/');
    let (Some(file), Some(parent)) = (parts.next(), parts.next()) else {
        return;
    };
    if parent == "containers" {
        let Some((name, id)) = file.strip_suffix(".log").and_then(|name| name.rsplit_once('-')) else {
            return;
        };
        let mut names = name.splitn(3, '_');
        let (Some(pod), Some(namespace), Some(container)) = (names.next(), names.next(), names.next()) else {
            return;
        };
        if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            fields.set(FieldId::ContainerId, id);
            fields.set(FieldId::KubernetesPodName, pod);
            fields.set(FieldId::OrchestratorNamespace, namespace);
            fields.set(FieldId::ContainerName, container);
        }
    } else if let (Some(pod), Some("pods")) = (parts.next(), parts.next()) {
        let mut names = pod.splitn(3, '_');
        let (Some(namespace), Some(pod), Some(uid)) = (names.next(), names.next(), names.next()) else {
            return;
        };
        fields.set(FieldId::OrchestratorNamespace, namespace);
        fields.set(FieldId::KubernetesPodName, pod);
        fields.set(FieldId::KubernetesPodUid, uid);
        fields.set(FieldId::ContainerName, parent);
    }
}
