//! Here is a record, give me its events: which format, which envelopes, which source, one event or several.
//!
//! ```text
//! RawRecord ─format::compression, encoding─▶ &[u8] ─mask─▶ &str
//!   &str ─┬─ JSON ─values─▶ Value ─envelope─▶ Inner, Envelope ─┬─ marks ─▶ Source ───▶ normalize ─▶ Normalized ─┐
//!         └─ line ─record─────────────────────────────────────┴─ joiner ─▶ PendingFragment, once it is whole ─▶ │
//!   whatever fails on the way ─Reject, with its own bytes only─▶ sink ◀──────────────────────────────────────────┘
//!                                                                 └─▶ EventBatch { Event, DeadLetter }
//! ```
//!
//! It owns envelopes, the marks of sources, and what is kept between the records of a partition: the pending fragments of its
//! partial lines and events ([`joiner`]), and nothing else. It never reads what a field means, and never lets a container's output
//! pass for another source's record.

mod decoding;
mod detect;
mod envelope;
mod joined_secrets;
mod joiner;
mod joining;
mod marks;
mod payload;
mod record;
mod recovery;
mod sink;
mod stack_trace;
#[cfg(test)]
mod tests;
mod values;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use casebook_event::{EventBatch, RawRecord, Timestamp};

use crate::format::reject::{self, Reject};
use crate::format::{compression, encoding};
use crate::limits::MAX_RECORD_BYTES;
use crate::mask;
use crate::normalize::Normalized;
use crate::settings::TopicSettings;
use crate::source_kind::SourceKind;
use decoding::Decoding;
pub use detect::detect_source;
use joiner::Joiner;
use payload::{readable, trim};
use sink::Sink;

/// Turns the records of one partition into events, in their order.
#[derive(Debug, Default)]
pub struct Decoder {
    kind: SourceKind,
    settings: Arc<TopicSettings>,
    joiner: Joiner,
    /// Normalized and not yet emitted; kept for its memory.
    scratch: Vec<Normalized>,
}

/// Part numbers of what a quiet partition emits begin here, after those of any record. A table keeps them in 32 bits with a
/// sign.
const FLUSHED_INDEX: u32 = 1 << 30;

impl Decoder {
    /// A decoder of records of that kind, of which the deployment says nothing else.
    pub fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The same, of a topic of which the deployment says that.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<TopicSettings>) -> Self {
        self.settings = settings;
        self
    }

    /// Appends what `record` completes: events, and a dead letter for every part that is none. Every record leaves at
    /// least one of either, now or with a later one that it waits for ([`Decoder::resume`]); but for an empty batch
    /// (`{"Records":[]}`), which leaves none.
    ///
    /// Positions are the record's that completes the event, with `index` counted on from the record's own. The caller
    /// keeps `checkpoint` and `input_bytes`.
    pub fn decode(&mut self, record: &RawRecord, ingested: Timestamp, out: &mut EventBatch) {
        let position = &record.position;
        self.joiner.begin(position.offset, record.timestamp);
        let mut sink = Sink::new(position.clone(), record.timestamp, ingested, &self.settings, out);
        if record.payload.len() > MAX_RECORD_BYTES {
            let detail = format!("{} bytes are more than {MAX_RECORD_BYTES}", record.payload.len());
            return refuse(&mut sink, Reject::new(reject::TOO_LARGE, detail), &record.payload);
        }
        let payload = match compression::decompress(&record.payload, MAX_RECORD_BYTES) {
            Ok(payload) => encoding::to_utf8(payload),
            Err(reject) => return refuse(&mut sink, reject, &record.payload),
        };
        let masked = mask::mask(&payload);
        let original = (!masked.removed.is_empty()).then_some(payload.as_ref());
        let payload = masked.text;
        sink.read(&payload, masked.removed);
        Decoding {
            kind: self.kind,
            joiner: &mut self.joiner,
            sink,
            original,
            scratch: &mut self.scratch,
        }
        .record(trim(&payload));
    }

    /// The offset from which this partition must be read again for someone else to know what waits here; `None` where
    /// nothing does.
    pub fn resume(&self) -> Option<i64> {
        self.joiner.oldest()
    }

    /// Emits the pending fragments, as they are: the partition has ended, or is quiet and `last` was its last record.
    pub fn flush(&mut self, last: &casebook_event::Position, ingested: Timestamp, out: &mut EventBatch) {
        let fragment = self.joiner.take_all();
        let mut position = last.clone();
        position.index = position.index.max(FLUSHED_INDEX);
        let sink = Sink::new(position, self.joiner.timestamp(), ingested, &self.settings, out);
        let mut decoding = Decoding {
            kind: self.kind,
            joiner: &mut self.joiner,
            sink,
            original: None,
            scratch: &mut self.scratch,
        };
        for fragment in fragment {
            decoding.release(fragment);
        }
    }
}

/// Refuses a payload before it is decoded. What the dead letter keeps is masked, and says where it is not what came.
fn refuse(sink: &mut Sink<'_>, mut reject: Reject, payload: &[u8]) {
    let text = readable(payload);
    if matches!(text, Cow::Owned(_)) {
        let (whole, kept) = (payload.len(), text.len());
        let _ = write!(
            reject.detail,
            "; of {whole} bytes, the {kept} of text that could be read are kept"
        );
    }
    let masked = mask::mask(&text);
    if matches!(text, Cow::Owned(_)) && masked.removed.is_empty() {
        sink.reject_part(reject, &masked.text, payload);
    } else {
        // The hash of what had a secret would confirm a right guess.
        sink.reject(reject, &masked.text);
    }
}
