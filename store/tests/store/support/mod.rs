//! What the tests of the store share: events, checkpoints and stores in temporary directories.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::Path;

use casebook_event::{
    Binding, CheckpointDelta, DeadLetter, Event, EventId, FieldId, Fields, Native, Partition, Position, Source,
    Timestamp, Value,
};
use casebook_store::{EventsCommit, Store, StoreConfig};

/// 2024-05-01T00:00:00Z.
pub const DAY: i64 = 1_714_521_600;

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(DAY + seconds)
}

/// Of bindings that expire, all are needed.
pub fn all(_: Timestamp, rows: &[Binding]) -> Vec<Binding> {
    rows.to_vec()
}

/// An event at `offset` of partition 0 of the topic `logs`.
pub fn event(offset: i64, fields: &[(FieldId, Value)], raw: &str) -> Event {
    let mut set = Fields::new();
    for (id, value) in fields {
        set.set(*id, value.clone());
    }
    Event {
        id: EventId::from_u128(offset as u128 + 1),
        time: Timestamp::from_nanos(at(offset).as_nanos() + 123_456_789),
        ingested: at(offset + 1),
        source: Source::KubernetesAudit,
        position: Position {
            topic: "logs".into(),
            partition: 0,
            offset,
            index: 0,
        },
        fields: set,
        native: Native::NONE,
        raw: raw.into(),
    }
}

pub fn plain(offset: i64) -> Event {
    event(
        offset,
        &[(FieldId::UserName, "alice".into())],
        &format!(r#"{{"verb":"get","n":"row{offset}"}}"#),
    )
}

pub fn letter(offset: i64) -> DeadLetter {
    let position = Position {
        topic: "logs".into(),
        partition: 0,
        offset,
        index: 0,
    };
    let detail = "expected value at line 1 column 1";
    DeadLetter::new(position, at(offset), "invalid_json", detail, &[0xff, 0x00, 0x7b])
}

/// The event as the table gives it back: read to the microsecond, without the source's own record.
pub fn as_stored(event: &Event) -> Event {
    Event {
        ingested: Timestamp::from_nanos(event.ingested.as_nanos().div_euclid(1_000).saturating_mul(1_000)),
        native: casebook_event::Native::NONE,
        ..event.clone()
    }
}

pub fn range(partition: i32, start: i64, end: i64) -> CheckpointDelta {
    let mut checkpoint = CheckpointDelta::new();
    checkpoint.record(&Partition::new("logs", partition), start, end - 1);
    checkpoint
}

pub fn commit(events: Vec<Event>, dead_letters: Vec<DeadLetter>, checkpoint: CheckpointDelta) -> EventsCommit<'static> {
    EventsCommit {
        group: "g",
        events,
        prepared: Vec::new(),
        dead_letters,
        checkpoint,
        read_to_end: Vec::new(),
        now: at(0),
    }
}

pub async fn open(dir: &Path) -> Store {
    Store::open(dir.to_str().unwrap(), StoreConfig::default())
        .await
        .unwrap()
}

/// The files below `dir` with that ending, relative to it.
pub fn files(dir: &Path, ending: &str) -> Vec<String> {
    fn walk(root: &Path, dir: &Path, ending: &str, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, ending, out);
            } else if path.to_str().unwrap().ends_with(ending) {
                out.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut out = Vec::new();
    walk(dir, dir, ending, &mut out);
    out.sort();
    out
}
