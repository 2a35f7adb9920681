//! Here are rows, make a data file of them; here is a data file that the log names, give me its rows.
//!
//! Owns the Parquet format of the tables: how rows are encoded, written and put beside the log, and how a file is opened, pruned by
//! its footer and read back. Never commits, and never decides which files are read.
//!
//! ```text
//! Event, DeadLetter ─encode─▶ RecordBatch ─writer─▶ Encoded ─put─▶ Add           events_file: all of it, for events
//!     Event      ◀──decode─── RecordBatch ◀──scan── open_file ◀─ footer (footer_cache), bloom filters, pages, selection
//! ```

mod bloom;
mod column;
mod decode;
mod encode;
mod events_file;
mod export;
mod footer_cache;
mod object_reader;
mod open_file;
mod put;
mod scan;
mod selection;
mod writer;

pub(crate) use bloom::{bloom_filter, column_of, may_have_text};
pub(crate) use column::Column;
pub(crate) use decode::{EventColumns, letter_counts};
pub(crate) use encode::{batch, dead_letters, events, micros};
pub(crate) use events_file::{EncodedEvents, EventsFile, raw_bytes};
pub use export::to_parquet;
pub(crate) use footer_cache::FooterCache;
pub(crate) use open_file::{Batches, OpenFile, PageIndex, RowReader};
pub(crate) use put::{date_text, file_name, put_file};
pub(crate) use scan::{footer, scan, scan_rows, scan_whole};
pub(crate) use selection::{select, select_of};
pub(crate) use writer::DataFileWriter;
