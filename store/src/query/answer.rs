//! What a search is asked, and what it answers.

use casebook_event::{Event, FieldId, Source, Timestamp};

use crate::StoreError;
use crate::table::DataFile;

/// What to look for. `SearchRequest::default()` asks for the hundred newest events.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// The query; an empty one means every event.
    pub query: String,
    /// Events at or after this time.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub to: Option<Timestamp>,
    /// Events of these sources; of all where none is named.
    pub sources: Vec<Source>,
    /// Most events to return, at most [`MAX_ANSWER_ROWS`](crate::limits::MAX_ANSWER_ROWS).
    pub limit: usize,
    /// Whether the newest events are returned, newest first; else the oldest, oldest first.
    pub newest_first: bool,
    /// The fields to return of each event, without its record; where none are named, the events whole. Records are most of what
    /// is stored, and those of scattered events most of what a search takes.
    pub fields: Option<&'static [FieldId]>,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            from: None,
            to: None,
            sources: Vec::new(),
            limit: 100,
            newest_first: true,
            fields: None,
        }
    }
}

/// What was found, and what was read to find it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchAnswer {
    /// The events, in the order asked for.
    pub rows: Vec<Event>,
    /// How many events match, of those that were tested.
    pub matched: u64,
    /// Whether every file that may hold a match was scanned, so that `matched` is the number of all matches. A search
    /// stops when no further file can hold an event that belongs into the answer.
    pub counted_all: bool,
    /// What was read for it.
    pub files: FilesRead,
    /// Files that may hold a match and could not be read. The answer is that of the others.
    pub unreadable: Vec<UnreadableFile>,
}

/// A data file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadableFile {
    /// The file, relative to its table.
    pub path: String,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for UnreadableFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, reason } = self;
        write!(f, "table events: cannot read {path}: {reason}")
    }
}

impl UnreadableFile {
    /// Of an error about one file; any other error is given back.
    pub(super) fn of(file: &DataFile, error: StoreError) -> Result<Self, StoreError> {
        match error {
            StoreError::File { source, .. } => Ok(Self {
                path: file.path.clone(),
                reason: source.to_string(),
            }),
            other => Err(other),
        }
    }
}

/// What was read for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilesRead {
    /// Files of the table.
    pub total: u64,
    /// Files left out by what the log says of their times and sources.
    pub pruned: u64,
    /// Files whose index was asked.
    pub indexed: u64,
    /// Files of which one column was counted.
    pub counted: u64,
    /// Files without a usable index, of which every row was read.
    pub scanned: u64,
    /// Files that were not read since the answer was complete without them.
    pub unread: u64,
    /// Rows that were read to see whether they match, or for what is returned of them.
    pub rows_read: u64,
}
