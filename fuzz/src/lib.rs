//! What the fuzz targets share: each feeds one entry of the decoder, and checks what holds of any input.

use std::sync::Arc;

use casebook_correlate::{Detector, RuleFile, RuleSet};
use casebook_event::{Event, EventBatch, EventId, FieldId, Fields, Position, RawRecord, Tape, Timestamp, Value};
use casebook_ingest::{Decoder, FileRecords};

pub use casebook_event::Source;
pub use casebook_ingest::SourceKind;

/// A fixed present, so that a run can be repeated.
const NOW: i64 = 1_795_478_400_000_000_000;
/// The bound that decompression is held to.
const MAX_BYTES: usize = 1 << 20;

/// Decodes each line of the input as a record, so that what joins lines is met too, and then the input as one record.
pub fn decode(kind: SourceKind, data: &[u8]) {
    let mut decoder = Decoder::new(kind);
    let mut batch = EventBatch::default();
    for line in data.split(|byte| *byte == b'\n').take(64).chain([data]) {
        decoder.decode(&record(line), present(), &mut batch);
    }
    decoder.flush(&record(&[]).position, present(), &mut batch);
    assert_eq!(decoder.resume(), None);
    for event in &batch.events {
        // The input went in twice, may be joined, and U+FFFD is three bytes in place of one.
        assert!(event.raw.len() <= 6 * data.len() + 128);
        event.visit_all(&mut |value| {
            value.to_text();
            false
        });
    }
}

/// What is read in place is what the other parser reads.
pub fn tape(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((tape, end)) = Tape::parse_object(text) else { return };
    let value: Result<Value, _> = serde_json::from_str(&text[..end]);
    assert!(value.is_ok_and(|value| value == tape.root(text).to_value()));
}

/// Masks twice: the second finds nothing.
pub fn mask(data: &[u8]) {
    let mut kinds = Vec::new();
    let once = casebook_ingest::fuzz::mask(data, &mut kinds);
    assert_eq!(kinds.is_empty(), matches!(once, std::borrow::Cow::Borrowed(_)));
}

/// Never more than the bound.
pub fn compression(data: &[u8]) {
    if let Ok(text) = casebook_ingest::fuzz::decompress(data, MAX_BYTES) {
        assert!(text.len() <= MAX_BYTES.max(data.len()));
    }
}

/// Loads any text as rules, files separated by `===`: what is wrong with them is reported, with a place in one of them.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    load(text);
}

/// Matches events against rules, `RULES===EVENTS` with an event a line, the rules as for [`rules`]: engine, reference and
/// explanation agree.
pub fn detect(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((rules, events)) = text.rsplit_once("===") else { return };
    let rules = load(rules);
    let mut detector = Detector::new(rules.clone());
    for line in events.lines().take(8) {
        for source in [
            Source::CloudTrail,
            Source::KubernetesAudit,
            Source::Auditd,
            Source::Application,
        ] {
            let event = event(source, line);
            let mut signals = Vec::new();
            detector.detect(&event, &mut signals);
            let mut found: Vec<String> = signals.iter().map(|signal| signal.matched_rule_id.to_string()).collect();
            found.dedup();
            let silent = |id: &String| rules.get(id).is_some_and(|rule| !rule.alerts);
            // A rule that only serves correlations has no report of where an event lacks their groups.
            let mut expected = casebook_correlate::fuzz::reference(&rules, &event);
            expected.retain(|id| !silent(id));
            found.retain(|id| !silent(id));
            assert_eq!(found, expected);
            for rule in rules.rules() {
                if let Some(explained) = rules.explain(&rule.id, &event) {
                    let matched = expected.iter().any(|id| **id == *rule.id);
                    assert!(silent(&rule.id.to_string()) || explained.holds == matched);
                }
            }
        }
    }
}

fn load(text: &str) -> Arc<RuleSet> {
    let files = text.split("===").enumerate().map(|(n, text)| RuleFile {
        path: format!("{n}.yml"),
        text: text.to_owned(),
    });
    let files: Vec<RuleFile> = files.collect();
    let loaded = RuleSet::load_partial(files.iter().cloned());
    for finding in &loaded.diagnostics {
        let file = files.iter().find(|file| file.path == finding.file).expect("a file of these");
        // For YAML a carriage return alone ends a line, too.
        let lines = file.text.matches(['\n', '\r']).count() as u32 + 1;
        assert!((1..=lines).contains(&finding.line) && finding.column >= 1, "{finding}");
        assert!(!finding.message.is_empty());
    }
    Arc::new(loaded.rules.expect("a partial load gives rules"))
}

fn event(source: Source, line: &str) -> Event {
    let mut fields = Fields::new();
    fields.set(FieldId::UserName, line.chars().take(4).collect::<String>());
    fields.set(FieldId::EventCategory, "process");
    fields.set(FieldId::EventType, "start");
    Event {
        id: EventId::from_u128(1),
        time: present(),
        ingested: present(),
        source,
        position: record(&[]).position,
        fields,
        native: serde_json::from_str(line).unwrap_or(Value::Null).into(),
        raw: line.into(),
    }
}

/// Reads a file's records, and decodes none.
pub fn file_records(data: &[u8]) {
    let records = FileRecords::new(data, "fuzz", SourceKind::Auto, present());
    // Compressed input may hold much; a thousand records say enough.
    for record in records.take(1000) {
        if record.is_err() {
            return;
        }
    }
}

fn present() -> Timestamp {
    Timestamp::from_nanos(NOW)
}

fn record(payload: &[u8]) -> RawRecord {
    RawRecord {
        position: Position {
            topic: "fuzz".into(),
            partition: 0,
            offset: 0,
            index: 0,
        },
        timestamp: present(),
        payload: payload.to_vec(),
    }
}
