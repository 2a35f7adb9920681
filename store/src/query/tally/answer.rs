//! By what is counted, and what was.

use casebook_event::Timestamp;

use crate::query::answer::{FilesRead, UnreadableFile};

/// By what matches are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TallyBy {
    /// By spans of time of so many nanoseconds, which begin at whole multiples of it since 1970.
    pub span: Option<i64>,
    /// By the values of these fields, as the query language names them. An event counts for each of the values that a
    /// field of several has (for the combinations of them, where several fields are named, at most
    /// [`MAX_TALLY_COMBINATIONS`](crate::limits::MAX_TALLY_COMBINATIONS)).
    pub fields: Vec<String>,
    /// Most groups that are reported, where they are not counted by time as well: those with most events. All, where nothing is
    /// said.
    pub most: Option<usize>,
}

/// How many events match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The groups: by time first, then the most frequent, then by value.
    pub rows: Vec<TallyRow>,
    /// How many groups there are.
    pub groups: u64,
    /// How many events match.
    pub matched: u64,
    /// How many counts belong to groups that are not reported, since there are more than [`crate::limits::MAX_TALLY_GROUPS`].
    pub other_count: u64,
    /// What was read for it.
    pub files: FilesRead,
    /// Files that may hold a match and could not be read: nothing of them is counted.
    pub unreadable: Vec<UnreadableFile>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// The beginning of the span.
    pub time: Option<Timestamp>,
    /// A value for each field; `None` where the events have none.
    pub values: Vec<Option<String>>,
    /// How many events.
    pub count: u64,
}
