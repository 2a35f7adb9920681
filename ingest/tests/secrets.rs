//! A secret in every source and every encoding, through the decoder: what comes out is decoded in turn, and has it nowhere.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers may fail and speak as a test does"
)]

#[path = "secrets/forms.rs"]
mod forms;
#[path = "secrets/plants.rs"]
mod plants;

use std::collections::BTreeSet;
use std::io::Write as _;

use casebook_event::{EventBatch, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, SourceKind};

use forms::{Sought, base64};
use plants::{PASSWORD, Plant};

/// Decodes the records of one partition.
fn decode(kind: SourceKind, records: &[Vec<u8>]) -> EventBatch {
    let mut batch = EventBatch::default();
    let mut decoder = Decoder::new(kind);
    let now = Timestamp::parse_rfc3339("2026-11-20T10:00:01Z").unwrap();
    let mut last = None;
    for (offset, payload) in (0i64..).zip(records) {
        let position = Position {
            topic: "t".into(),
            partition: 0,
            offset,
            index: 0,
        };
        last = Some(position.clone());
        let record = RawRecord {
            position,
            timestamp: now,
            payload: payload.clone(),
        };
        decoder.decode(&record, now, &mut batch);
    }
    if let Some(last) = last {
        decoder.flush(&last, now, &mut batch);
    }
    batch
}

/// Everything that leaves the decoder, as text.
fn all_of(batch: &EventBatch) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for event in &batch.events {
        all.push(event.raw.as_bytes().to_vec());
        all.push(event.native().to_text().into_owned().into_bytes());
        all.push(format!("{:?}", event.fields).into_bytes());
    }
    for letter in &batch.dead_letters {
        all.push(letter.payload.clone());
        all.push(letter.detail.clone().into_bytes());
    }
    all
}

#[track_caller]
fn check(what: &str, kind: SourceKind, records: &[Vec<u8>], secret: &str) {
    let sought = Sought::new(secret);
    let batch = decode(kind, records);
    let all = all_of(&batch);
    assert!(!all.is_empty(), "{what}: nothing came out");
    for text in &all {
        if let Some(form) = sought.find(text) {
            panic!("{what} as {kind}: {form} in {}", String::from_utf8_lossy(text));
        }
    }
    let masked = batch
        .events
        .iter()
        .any(|event| format!("{:?}", event.fields).contains("Masked"));
    let said = all
        .iter()
        .any(|text| String::from_utf8_lossy(text).contains("[masked:"));
    assert!(
        masked || said,
        "{what} as {kind}: nothing says that a secret was there: {all:?}"
    );
}

fn kinds_of(plant: &Plant) -> Vec<SourceKind> {
    vec![SourceKind::Source(plant.source), SourceKind::Auto]
}

#[test]
fn a_secret_of_any_source_and_encoding_is_nowhere() {
    let mut sources = BTreeSet::new();
    for plant in plants::all(PASSWORD) {
        for kind in kinds_of(&plant) {
            check(plant.what, kind, &plant.records, PASSWORD);
        }
        sources.insert(plant.source);
    }
    let missing: Vec<_> = Source::ALL.iter().filter(|source| !sources.contains(source)).collect();
    assert!(missing.is_empty(), "no plant for {missing:?}");
}

/// A topic may hold anything: what is no record of its source is a dead letter.
#[test]
fn a_dead_letter_has_no_secret() {
    for plant in plants::all(PASSWORD) {
        for source in Source::ALL {
            let sought = Sought::new(PASSWORD);
            for text in all_of(&decode(SourceKind::Source(*source), &plant.records)) {
                let found = sought.find(&text);
                assert_eq!(
                    found,
                    None,
                    "{} as {source}: {}",
                    plant.what,
                    String::from_utf8_lossy(&text)
                );
            }
        }
    }
}

/// Compressed, cut off, in UTF-16, or all of them.
#[test]
fn what_is_around_a_record_hides_no_secret() {
    for plant in plants::all(PASSWORD).iter().filter(|plant| plant.records.len() == 1) {
        let record = &plant.records[0];
        let Ok(text) = std::str::from_utf8(record) else {
            continue;
        };
        let gzip = gzip(record);
        let utf16: Vec<u8> = std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let swapped: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for kind in kinds_of(plant) {
            check(plant.what, kind, std::slice::from_ref(&gzip), PASSWORD);
            check(plant.what, kind, std::slice::from_ref(&utf16), PASSWORD);
            check(plant.what, kind, std::slice::from_ref(&swapped), PASSWORD);
            let sought = Sought::new(PASSWORD);
            for cut in [gzip.len() - 9, gzip.len() * 3 / 4, gzip.len() / 2] {
                let batch = decode(kind, &[gzip[..cut].to_vec()]);
                let said = |letter: &casebook_event::DeadLetter| letter.detail.contains("that could be read are kept");
                assert!(
                    batch
                        .dead_letters
                        .iter()
                        .all(|letter| said(letter) || letter.payload == gzip[..cut])
                );
                for text in all_of(&batch) {
                    assert_eq!(sought.find(&inflated(&text)), None, "{}, gzip cut", plant.what);
                    assert_eq!(sought.find(&text), None, "{}, gzip cut", plant.what);
                }
            }
            for cut in [utf16.len() - 1, utf16.len() - 3] {
                for text in all_of(&decode(kind, &[utf16[..cut].to_vec()])) {
                    assert_eq!(sought.find(&text), None, "{}, UTF-16 cut", plant.what);
                }
            }
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What can be had of compressed bytes.
fn inflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut out = Vec::new();
    let _ = flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out);
    out
}

/// A line that the runtime cuts within the secret, wherever it does.
#[test]
fn a_secret_across_the_parts_of_a_line_is_nowhere() {
    for text in [
        format!("login password={PASSWORD} for a"),
        format!("{{\"level\":\"info\",\"password\":\"{PASSWORD}\",\"a\":1}}"),
        format!("got ghp_{PASSWORD}{PASSWORD} from b"),
        format!("-----BEGIN PRIVATE KEY-----\\n{PASSWORD}\\n{PASSWORD}\\n-----END PRIVATE KEY-----"),
        format!("curl -u a:{PASSWORD} https://h"),
    ] {
        for cut in 1..text.len() {
            let (first, second) = text.split_at(cut);
            let time = "2026-11-20T10:00:00.000000001Z";
            let cri = [format!("{time} stdout P {first}"), format!("{time} stdout F {second}")];
            let docker = [(first, ""), (second, "\n")].map(|(part, end)| {
                serde_json::json!({ "log": format!("{part}{end}"), "stream": "stdout", "time": time }).to_string()
            });
            let fluent = [(first, "P"), (second, "F")].map(|(part, tag)| {
                serde_json::json!({ "log": part, "stream": "stdout", "logtag": tag, "time": time,
                    "kubernetes": { "pod_name": "p", "namespace_name": "n", "container_name": "c" } })
                .to_string()
            });
            for records in [cri, docker, fluent] {
                let records: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
                let batch = decode(SourceKind::Source(Source::ContainerLog), &records);
                assert_eq!(batch.events.len(), 1, "{records:?}");
                check(
                    "a cut line",
                    SourceKind::Source(Source::ContainerLog),
                    &records,
                    PASSWORD,
                );
            }
        }
    }
}

/// An option in one record of an audit event, and its value in the next.
#[test]
fn a_secret_across_records_of_an_audit_event_is_nowhere() {
    let head = "type=EXECVE msg=audit(1763632800.123:77):";
    let parts = PASSWORD.split_at(5);
    for records in [
        [
            format!("{head} argc=3 a0=\"mysql\" a1=\"--password\""),
            format!("{head} a2=\"{PASSWORD}\""),
        ],
        [
            format!("{head} argc=2 a0=\"mysql\" a1_len=99 a1[0]=\"--password={}\"", parts.0),
            format!("{head} a1[1]=\"{}\"", parts.1),
        ],
    ] {
        let records: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        check("joined records", SourceKind::Source(Source::Auditd), &records, PASSWORD);
    }
}

/// A dead letter's hash is that of what it keeps, where a secret was removed: else a guess could be tried against it.
#[test]
fn a_hash_confirms_no_guess() {
    for plant in plants::all(PASSWORD).iter().filter(|plant| plant.records.len() == 1) {
        let whole = gzip(&plant.records[0]);
        let cut = whole[..whole.len() - 9].to_vec();
        for letter in decode(SourceKind::Source(plant.source), std::slice::from_ref(&cut)).dead_letters {
            let hash = casebook_event::sha256_hex(&cut);
            let masked = String::from_utf8_lossy(&letter.payload).contains("[masked:");
            let known = letter.cut.as_ref().is_some_and(|of| of.sha256 == hash);
            assert!(!(masked && known), "{}", plant.what);
        }
    }
}

/// Two records that differ in nothing but a secret.
#[test]
fn records_that_differ_only_in_a_secret_stay_two_events() {
    let other = "Zq8wUs1vc5epsRz8";
    for (plant, twin) in plants::all(PASSWORD).iter().zip(plants::all(other)) {
        let kind = SourceKind::Source(plant.source);
        let ids =
            |records: &[Vec<u8>]| -> Vec<_> { decode(kind, records).events.iter().map(|event| event.id).collect() };
        let (one, two) = (ids(&plant.records), ids(&twin.records));
        assert_eq!(one, ids(&plant.records), "{}: delivered twice", plant.what);
        if plant.by_content {
            assert!(
                !one.is_empty() && one.iter().all(|id| !two.contains(id)),
                "{}",
                plant.what
            );
        }
    }
    // Fifty guesses of one second.
    let guess = |n: u32| format!("2026-11-20T10:00:00Z ERROR login of root failed password=guess{n}word").into_bytes();
    let ids: BTreeSet<_> = (0..50)
        .flat_map(|n| decode(SourceKind::Source(Source::Application), &[guess(n)]).events)
        .map(|event| event.id)
        .collect();
    assert_eq!(ids.len(), 50);
}

/// The cases that lie beside the workspace, and are no part of it.
#[test]
fn the_cases_beside_the_workspace() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases/decode.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is absent", path.display());
        return;
    };
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let of = |key: &str| case[key].as_str().unwrap_or_default();
        if of("what").starts_with("masked: ") {
            let records = [of("input").as_bytes().to_vec()];
            for kind in [of("source").parse().unwrap(), SourceKind::Auto] {
                check(of("what"), kind, &records, "HUNTER2HUNTER2xx");
            }
        }
    }
}

#[test]
fn the_search_finds_what_is_hidden() {
    let sought = Sought::new(PASSWORD);
    for before in ["", "a", "ab"] {
        assert!(
            sought
                .find(base64(format!("{before}{PASSWORD}bc").as_bytes()).as_bytes())
                .is_some()
        );
    }
    for text in [
        format!("x{PASSWORD}"),
        forms::hex(PASSWORD.as_bytes()),
        forms::hex(PASSWORD.as_bytes()).to_lowercase(),
        forms::percent(PASSWORD),
        forms::numbers(PASSWORD.as_bytes()),
    ] {
        assert!(sought.find(text.as_bytes()).is_some(), "{text}");
    }
    let utf16: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(sought.find(&utf16).is_some());
    assert_eq!(sought.find(b"nothing"), None);
}
