//! The vocabulary of Casebook: what every other crate says to the next.
//!
//! ```text
//! RawRecord ─ingest─▶ EventBatch{Event, DeadLetter, CheckpointDelta} ─detect─▶ Signal, Watermark ─correlate─▶ Alert
//! ```
//!
//! Beside the vocabulary stand the two ways in which JSON is read here: scanned, without being parsed ([`json`]), and parsed into
//! places of its own text, from which an event's native fields are read ([`Tape`]).
//!
//! No I/O, no clock and no runtime: a value of this crate is the same wherever and whenever it is made.

mod address;
mod alert;
mod batch;
mod binding;
mod bounded;
mod data_model;
mod entities;
mod event;
mod field;
mod identifier;
pub mod json;
mod kept;
mod limits;
mod native;
mod native_fields;
mod position;
mod signal;
mod source;
mod tape;
mod timestamp;
mod value;
mod value_ref;

pub use address::ip_address;
pub use alert::{Alert, AlertHead, AlertRule, AlertStatus, AlertWindow, Attributed, Evidence, Level, Retraction};
pub use batch::{Cut, DeadLetter, EventBatch, RawRecord};
pub use binding::{Binding, Confidence, How};
pub use bounded::{bounded_text, fits, sha256_hex};
pub use data_model::data_model_markdown;
pub use entities::Entities;
pub use event::{Event, EventId, Fields};
pub use field::{FieldId, FieldInfo, FieldRef, FieldType, Indexed, TAXONOMY};
pub use identifier::{EntityKind, Identifier, IdentifierKind, cluster_text};
pub use kept::{DecidedWindow, Kept};
pub use limits::*;
pub use native::Native;
pub use position::{CheckpointDelta, NotContiguous, OffsetRange, Partition, Position, StartOffset};
pub use signal::{EventRef, Signal, SignalMessage, Watermark};
pub use source::{Logsource, Source, UnknownSource};
pub use tape::{Recovered, Tape};
pub use timestamp::Timestamp;
pub use value::Value;
pub use value_ref::{Entries, Items, ValueRef};
