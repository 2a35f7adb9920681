//! Kafka (and files) to [`EventBatch`](casebook_event::EventBatch): consume, decode, normalize.
//!
//! ```text
//! Kafka ─ Consumer ─┐
//!                   ├─ RawRecord ─▶ Decoder ─▶ EventBatch { Event, DeadLetter }
//! files ─ FileRecords ┘              decode/ (formats) + normalize/ (one source a file)
//! ```

mod config;
mod consumer;
mod consumer_event;
mod decode;
mod files;
mod format;
mod limits;
mod mask;
mod message;
mod normalize;
mod rebalance;
mod settings;
mod source_kind;
mod text_file;
mod token;

pub use config::{ConsumerConfig, RESERVED_PROPERTIES};
pub use consumer::Consumer;
pub use consumer_event::{ConsumerError, ConsumerEvent, EndOffset, OffsetSource};
pub use decode::{Decoder, detect_source};
pub use files::FileRecords;
pub use format::reject::Reject;
pub use limits::{
    MAX_CLUSTER_NAME_BYTES, MAX_EVENTS_PER_RECORD, MAX_JSON_DEPTH, MAX_RECORD_BYTES, MAX_TRUSTED_PROXIES,
};
pub use settings::{ClusterName, TopicSettings, TrustedProxies};
pub use source_kind::SourceKind;
pub use text_file::{endless_kind, open_regular_file, read_text_file};
pub use token::{TokenContext, TokenFile};

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
