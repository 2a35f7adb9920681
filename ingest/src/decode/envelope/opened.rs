//! What opening an envelope gives: the record inside, and what the envelope says of it.

use casebook_event::{FieldId, Source, Timestamp, Value};
use compact_str::CompactString;

use crate::format::json::Recovered;
use crate::source_kind::SourceKind;

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
    pub(super) fn named(name: &'static str) -> Self {
        Self {
            names: vec![name],
            ..Self::NONE
        }
    }

    /// What an event of an object says beside what could be read of it.
    pub(crate) fn of_recovered(recovered: &Recovered) -> Self {
        Self {
            truncated: recovered.cut,
            half: recovered.half,
            odd_count: recovered.odd_count,
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

/// What a member of a batch is.
pub(crate) enum Member {
    /// A record, or an envelope of a form that stands alone too.
    Record,
    /// An envelope whose form only that batch has; it is passed whether it is to be taken for no other source's record, since what
    /// says that it is a container's output may have stood after its end.
    Wrapped(fn(Value, bool) -> (Inner, Envelope)),
}

/// Whether what a container prints goes for a record of `source`: only on a topic that says so.
pub(crate) fn wants_inner(kind: SourceKind) -> bool {
    !matches!(
        kind,
        SourceKind::Auto | SourceKind::Source(Source::ContainerLog | Source::Application)
    )
}
