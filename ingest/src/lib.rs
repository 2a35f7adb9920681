//! Kafka (and files) to [`EventBatch`](casebook_event::EventBatch): consume, decode, normalize.
//!
//! ```text
//! Kafka ─ kafka/Consumer ─ConsumerEvent─┐
//!                                       ├─ RawRecord ─▶ decode/Decoder ─▶ EventBatch { Event, DeadLetter }
//! files ─ files/FileRecords ────────────┘                   │  │  │
//!                    &[u8] ─mask/─▶ Masked, [Removed] ◀──────┘  │  └───▶ normalize/  Value, &str, Context ─▶ Normalized
//!                    &str ─format/─▶ CriLine, SyslogLine, … ◀───┘              (one source a file)
//! ```
//!
//! The rooms know each other in one direction: `format` and `mask` know none, `normalize` knows these, `decode` knows all three;
//! `files` knows `format`, and `kafka` none of them.

mod decode;
mod files;
mod format;
mod kafka;
mod limits;
mod mask;
mod normalize;
mod settings;
mod source_kind;
mod text_file;

pub use decode::{Decoder, detect_source};
pub use files::FileRecords;
pub use format::reject::Reject;
pub use kafka::{
    Consumer, ConsumerConfig, ConsumerError, ConsumerEvent, EndOffset, OffsetSource, RESERVED_PROPERTIES, TokenContext,
    TokenFile,
};
pub use limits::{
    MAX_CLUSTER_NAME_BYTES, MAX_EVENTS_PER_RECORD, MAX_JSON_DEPTH, MAX_RECORD_BYTES, MAX_TRUSTED_PROXIES,
};
pub use settings::{ClusterName, TopicSettings, TrustedProxies};
pub use source_kind::SourceKind;
pub use text_file::{endless_kind, open_regular_file, read_text_file};

/// Inner steps, for the fuzz targets alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    use std::borrow::Cow;

    /// Masks the secrets of a text.
    pub fn mask<'a>(text: &'a [u8], kinds: &mut Vec<&'static str>) -> Cow<'a, [u8]> {
        let masked = crate::mask::mask(text);
        kinds.extend(masked.removed.iter().map(|removed| removed.kind));
        masked.text
    }

    /// Decompresses a payload, at most to that length.
    pub fn decompress(payload: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, crate::format::reject::Reject> {
        crate::format::compression::decompress(payload, max_bytes)
    }
}
