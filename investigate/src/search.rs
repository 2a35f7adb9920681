//! Events that match a query: found, sorted, counted.

use std::cmp::Ordering;

use casebook_event::{Event, FieldId, FieldRef, Timestamp, Value};
use casebook_store::{ALIASES, FilesRead, SearchRequest, StoreError, Tally, TallyBy};
use serde::Serialize;

use crate::answer::Answer;
use crate::archive::{Archive, Scope, ecs};
use crate::coverage::Dropped;
use crate::limits::MAX_SORTED_EVENTS;

/// In which order events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `time`, or a field.
    pub field: String,
    /// The greatest first.
    pub down: bool,
}

impl Order {
    /// Of a text: `-time`, `user.name`.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(field) => Self {
                field: field.to_owned(),
                down: true,
            },
            None => Self {
                field: text.to_owned(),
                down: false,
            },
        }
    }

    /// Whether it is the order of time.
    pub fn is_of_time(&self) -> bool {
        matches!(&*self.field, "time" | "@timestamp")
    }
}

/// Events that were found.
#[derive(Debug, Clone, Serialize)]
pub struct FoundEvents {
    /// As many as were asked for, in the order asked for.
    #[serde(serialize_with = "ecs")]
    pub events: Vec<Event>,
    /// How many match, of those that were read.
    pub matched: u64,
    /// Whether `matched` is the number of all matches: a search stops when no further file can hold an event that belongs into
    /// the answer.
    pub counted_all: bool,
    /// What was read for it.
    #[serde(skip)]
    pub files: FilesRead,
}

/// How many events match, by time, by fields, or in all.
#[derive(Debug, Clone, Serialize)]
pub struct Counts {
    /// The names of the fields that are counted by.
    pub fields: Vec<String>,
    /// The groups; none where only the number of all was asked for.
    pub groups: Vec<GroupCount>,
    /// How many groups there are.
    pub total_groups: u64,
    /// How many events match.
    pub matched: u64,
    /// How many counts belong to groups that are not listed, since there are too many.
    pub other_count: u64,
    /// What was read for it.
    #[serde(skip)]
    pub files: FilesRead,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupCount {
    /// The beginning of the span, where counted by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// A value for each field; `null` where the events have none.
    pub values: Vec<Option<String>>,
    /// How many events.
    pub count: u64,
}

/// The events that match, at most `request.limit` of them in this order.
///
/// # Errors
/// The query is none, or a log cannot be read.
pub async fn events(
    archive: &Archive<'_>,
    request: SearchRequest,
    order: &Order,
) -> Result<Answer<FoundEvents>, StoreError> {
    let limit = request.limit;
    let by_time = order.is_of_time();
    let scope = scope_of(&request);
    let request = SearchRequest {
        newest_first: !by_time || order.down,
        limit: if by_time { limit } else { MAX_SORTED_EVENTS },
        ..request
    };
    let (found, coverage) = tokio::join!(archive.search(request), archive.coverage(&scope));
    let mut found = found?;
    let mut dropped = Vec::new();
    if !by_time {
        sort(&mut found.rows, &order.field, order.down);
        found.rows.truncate(limit);
        dropped.extend((found.matched > MAX_SORTED_EVENTS as u64).then_some(Dropped::Sorted {
            limit: MAX_SORTED_EVENTS as u64,
        }));
    }
    let data = FoundEvents {
        events: found.rows,
        matched: found.matched,
        counted_all: found.counted_all,
        files: found.files,
    };
    let mut answer = archive.answer(data, Vec::new(), coverage, dropped);
    answer.coverage.unindexed_files = found.files.scanned;
    Ok(answer)
}

/// How many events match.
///
/// # Errors
/// As [`events`].
pub async fn count(archive: &Archive<'_>, request: SearchRequest) -> Result<Answer<Counts>, StoreError> {
    let scope = scope_of(&request);
    let request = SearchRequest { limit: 0, ..request };
    let (found, coverage) = tokio::join!(archive.search(request), archive.coverage(&scope));
    let found = found?;
    let data = Counts {
        fields: Vec::new(),
        groups: Vec::new(),
        total_groups: 0,
        matched: found.matched,
        other_count: 0,
        files: found.files,
    };
    let mut answer = archive.answer(data, Vec::new(), coverage, Vec::new());
    answer.coverage.unindexed_files = found.files.scanned;
    Ok(answer)
}

/// How many events match in each group.
///
/// # Errors
/// As [`events`], and where a field is none.
pub async fn tally(archive: &Archive<'_>, request: SearchRequest, by: TallyBy) -> Result<Answer<Counts>, StoreError> {
    let scope = scope_of(&request);
    let fields = by.fields.clone();
    let (tally, coverage) = tokio::join!(archive.tally(request, by), archive.coverage(&scope));
    let Tally {
        rows,
        groups,
        matched,
        other_count,
        files,
        ..
    } = tally?;
    let rows = rows.into_iter().map(|row| GroupCount {
        time: row.time,
        values: row.values,
        count: row.count,
    });
    let data = Counts {
        fields,
        groups: rows.collect(),
        total_groups: groups,
        matched,
        other_count,
        files,
    };
    let mut answer = archive.answer(data, Vec::new(), coverage, Vec::new());
    answer.coverage.unindexed_files = files.scanned;
    Ok(answer)
}

fn scope_of(request: &SearchRequest) -> Scope {
    Scope {
        from: request.from,
        to: request.to,
        sources: request.sources.clone(),
    }
}

/// Sorts by a field: numbers by size, everything else as text; events without the field come last.
fn sort(events: &mut [Event], field: &str, down: bool) {
    let key = |event: &Event| match value_of(event, field) {
        Value::Null => (2, 0.0, String::new()),
        value => match value.as_f64() {
            Some(number) => (0, number, String::new()),
            None => (1, 0.0, value.to_text().into_owned()),
        },
    };
    events.sort_by_cached_key(|event| {
        let (kind, number, text) = key(event);
        (kind, Ordered(number), text)
    });
    if down {
        // Those without the field stay where they are.
        let with = events.partition_point(|event| value_of(event, field) != Value::Null);
        events[..with].reverse();
    }
}

/// A number that is none of those that have no order: JSON has none of them.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The value of an event under a name: one of ours (`time`, `what`), an ECS name, a short name, or a path into its record.
pub fn value_of(event: &Event, name: &str) -> Value {
    match name {
        "time" | "@timestamp" => Value::from(event.time.to_string()),
        "source" => Value::str(event.source.name()),
        "id" | "event.id" | "event_id" => Value::from(event.id.to_string()),
        "position" => Value::from(event.position.to_string()),
        "raw" | "event.original" => Value::str(&event.raw),
        "what" => what(event),
        name => {
            let ids = match ALIASES.binary_search_by(|alias| alias.name.cmp(name)) {
                Ok(at) => ALIASES[at].fields.to_vec(),
                Err(_) => FieldRef::resolve(name).normalized().to_vec(),
            };
            ids.iter()
                .find_map(|&id| event.fields.get(id))
                .cloned()
                .unwrap_or_else(|| native(event, name))
        }
    }
}

/// The part of an event that says most to a reader: the command, else the object, else the text.
fn what(event: &Event) -> Value {
    let text = |id| event.fields.get(id).map(|value| value.to_text().into_owned());
    let object = || {
        let parts = [
            FieldId::OrchestratorNamespace,
            FieldId::OrchestratorResourceType,
            FieldId::OrchestratorResourceName,
        ]
        .into_iter()
        .filter_map(text)
        .collect::<Vec<_>>();
        (!parts.is_empty()).then(|| parts.join("/"))
    };
    text(FieldId::ProcessCommandLine)
        .or_else(object)
        .or_else(|| text(FieldId::Message))
        .or_else(|| text(FieldId::CloudServiceName))
        .map_or_else(|| Value::str(&event.raw), Value::from)
}

fn native(event: &Event, path: &str) -> Value {
    let Ok(document) = serde_json::from_str::<Value>(&event.raw) else {
        return Value::Null;
    };
    let mut found = Value::Null;
    document.visit_path(path, &mut |value| {
        found = value.to_value();
        true
    });
    found
}
