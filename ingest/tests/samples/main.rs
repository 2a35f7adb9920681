//! Real records: that every sample of the five sources is understood, and that detection agrees with the kind.
//!
//! The samples lie beside the workspace and are no part of it. Where they are absent, these tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers may fail and speak as a test does"
)]

mod application;
mod cloud;
mod cut;
mod everything;
mod hostile;
mod os;
mod patch;
mod runtime;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use casebook_event::{Event, EventBatch, FieldId, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, FileRecords, SourceKind};

fn samples(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is absent", path.display());
    None
}

/// The files of a directory and below, or the file itself, in order.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found.iter().flat_map(|path| files(path)).collect()
}

/// The present of these tests: years of year-less times come from it.
fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-24T00:00:00Z").unwrap()
}

fn decode(path: &Path, kind: SourceKind) -> EventBatch {
    let mut batch = EventBatch::default();
    for path in files(path) {
        let file = std::fs::File::open(&path).unwrap();
        let name = path.display().to_string();
        let mut decoder = Decoder::new(kind);
        let mut last = None;
        for record in FileRecords::new(file, &name, kind, now()) {
            let record = record.unwrap();
            decoder.decode(&record, now(), &mut batch);
            last = Some(record.position);
        }
        if let Some(last) = last {
            decoder.flush(&last, now(), &mut batch);
        }
    }
    batch
}

/// A record of a file of that name.
fn record(name: &str, line: i64, payload: &str) -> RawRecord {
    RawRecord {
        position: Position {
            topic: name.into(),
            partition: 0,
            offset: line,
            index: 0,
        },
        timestamp: now(),
        payload: payload.as_bytes().to_vec(),
    }
}

fn reasons(batch: &EventBatch) -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    for letter in &batch.dead_letters {
        *counts.entry(letter.reason).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

fn text(event: &Event, id: FieldId) -> String {
    event
        .fields
        .get(id)
        .map(|value| value.to_text().into_owned())
        .unwrap_or_default()
}

/// Decodes the samples at `path` as `source`, and again as `auto`. `None` where they are absent, and only then: what is asserted of
/// the events must fail where one has vanished.
fn check(path: &str, source: Source, events: usize, dead: &[(&'static str, usize)]) -> Option<Vec<Event>> {
    let path = samples(path)?;
    let batch = decode(&path, SourceKind::Source(source));
    let letters = || {
        batch
            .dead_letters
            .iter()
            .map(|letter| format!("{} {}: {}", letter.position, letter.reason, letter.detail))
    };
    assert_eq!(
        batch.events.len(),
        events,
        "{path:?}: {:#?}",
        letters().collect::<Vec<_>>()
    );
    assert_eq!(reasons(&batch), dead, "{path:?}: {:#?}", letters().collect::<Vec<_>>());
    let auto = decode(&path, SourceKind::Auto);
    let differ = auto.events.iter().find(|event| event.source != source);
    assert!(
        differ.is_none(),
        "{path:?}: detected as {:?}",
        differ.map(|event| (event.source, &event.raw))
    );
    assert_eq!(auto.events.len(), events, "{path:?} as auto: {:?}", reasons(&auto));
    let mut places: Vec<_> = batch.events.iter().map(|event| event.position.clone()).collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), events, "{path:?}: positions are unique");
    Some(batch.events)
}

/// How many events have each value of a field.
fn count(events: &[Event], id: FieldId) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(text(event, id)).or_insert(0) += 1;
    }
    counts
}

/// The first event of which that is so.
#[track_caller]
fn find<'a>(events: &'a [Event], what: &str, is: impl Fn(&Event) -> bool) -> &'a Event {
    let found = events.iter().find(|event| is(event));
    assert!(found.is_some(), "{what}: no such event among {}", events.len());
    found.unwrap()
}

fn identities(events: &[Event]) -> usize {
    let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
    ids.sort();
    ids.dedup();
    ids.len()
}

/// Whole events, of records of our own: `tests/normalized/SOURCE.log` becomes `SOURCE.json`, an event a line without what
/// the others repeat (`event.original`, `event.ingested`, `casebook`). `UPDATE_EXPECTED=1` writes what is now.
#[test]
fn whole_events() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/normalized");
    for source in Source::ALL {
        let batch = decode(&directory.join(format!("{source}.log")), SourceKind::Source(*source));
        assert!(batch.dead_letters.is_empty(), "{source}: {:?}", batch.dead_letters);
        let mut got = String::new();
        for event in &batch.events {
            let mut ecs: serde_json::Value =
                serde_json::from_slice(&serde_json::to_vec(&event.to_ecs()).unwrap()).unwrap();
            let own = ecs["casebook"].as_object_mut().unwrap();
            own.remove("position").unwrap();
            own.remove("source").unwrap();
            if own.is_empty() {
                ecs.as_object_mut().unwrap().remove("casebook").unwrap();
            }
            let inner = ecs["event"].as_object_mut().unwrap();
            inner.remove("original").unwrap();
            inner.remove("ingested").unwrap();
            got += &serde_json::to_string_pretty(&ecs).unwrap();
            got.push('\n');
        }
        let path = directory.join(format!("{source}.json"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        assert_eq!(got, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}
