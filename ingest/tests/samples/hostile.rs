//! Broken and hostile input: for every kind of source, never a panic, and an event or a dead letter with a documented reason
//! for every record.

use casebook_event::{EventBatch, Position, RawRecord, Source, Timestamp};
use casebook_ingest::{Decoder, MAX_RECORD_BYTES, SourceKind};

fn kinds() -> impl Iterator<Item = SourceKind> {
    std::iter::once(SourceKind::Auto).chain(Source::ALL.iter().copied().map(SourceKind::Source))
}

fn decode(kind: SourceKind, payload: &[u8]) -> EventBatch {
    let mut batch = EventBatch::default();
    let record = RawRecord {
        position: Position {
            topic: "hostile".into(),
            partition: 0,
            offset: 1,
            index: 0,
        },
        timestamp: super::now(),
        payload: payload.to_vec(),
    };
    let mut decoder = Decoder::new(kind);
    decoder.decode(&record, super::now(), &mut batch);
    decoder.flush(&record.position, super::now(), &mut batch);
    batch
}

/// Whether a record is one of the two that rightly leave nothing: a batch of none, and the end of an audit event whose other
/// records are not there.
fn holds_nothing(payload: &[u8]) -> bool {
    let text = String::from_utf8_lossy(payload);
    let empty = ["Records", "items", "Events", "logEvents", "records", "resourceLogs"]
        .iter()
        .any(|key| text.replace(' ', "").contains(&format!("\"{key}\":[]")));
    empty || text.contains("type=EOE")
}

/// Decodes the record as every kind, and checks what holds of any record.
#[track_caller]
fn check(payload: &[u8]) {
    for kind in kinds() {
        check_as(kind, payload);
    }
}

#[track_caller]
fn check_as(kind: SourceKind, payload: &[u8]) -> EventBatch {
    let documented = include_str!("../../../docs/dead-letters.md");
    let batch = decode(kind, payload);
    let shown = || String::from_utf8_lossy(&payload[..payload.len().min(300)]).into_owned();
    assert!(
        batch.events.len() + batch.dead_letters.len() > 0 || holds_nothing(payload),
        "{kind}: nothing is left of {}",
        shown()
    );
    for letter in &batch.dead_letters {
        assert!(
            documented.contains(&format!("\n| `{}` |", letter.reason)),
            "{kind}: {} is not documented",
            letter.reason
        );
        assert!(
            letter.detail.len() < 1000,
            "{kind}: {} bytes of detail",
            letter.detail.len()
        );
    }
    // U+FFFD is three bytes in place of one.
    let kept: usize = batch.events.iter().map(|event| event.raw.len()).sum::<usize>()
        + batch
            .dead_letters
            .iter()
            .map(|letter| letter.payload.len())
            .sum::<usize>();
    assert!(
        kept <= 3 * payload.len() + 64,
        "{kind}: {kept} bytes of {}",
        payload.len()
    );
    batch
}

/// The records of every source's own tests.
pub(super) fn templates() -> Vec<String> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/normalized");
    super::files(&directory)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| !line.trim().is_empty())
        .collect()
}

#[test]
fn odd_bytes() {
    let deep = |open: &str, close: &str| [open.repeat(10_000), "1".into(), close.repeat(10_000)].concat();
    let table: &[&[u8]] = &[
        b"",
        b" \t\r\n",
        b"\0\0\0",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"{",
        b"}",
        b"[",
        b"]",
        b"[[",
        b"{}",
        b"[1]",
        b"[null]",
        b"null",
        b"1e999",
        b"{\"a\":1e999}",
        b"{\"a\":123456789012345678901234567890123456789012345678901234567890}",
        b"{\"a\":-0.0,\"a\":\"b\",\"a\":null}",
        b"{\"kind\":\"Event\",\"kind\":1,\"auditID\":\"x\",\"auditID\":[]}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\udc00\\ud800\"}",
        b"{\"a\":\"\xc3\x28\"}",
        b"{\"a\":\"b\0c\"}",
        b"{\"a\":\"\\u0000\"}",
        b"\0{\"a\":1}\0",
        b"a\0b",
        b"\x80\x81\xfe\xff",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"\x28\xb5\x2f\xfd\x00",
        b"\x04\x22\x4d\x18\x00",
        b"\x82SNAPPY\0\0\0\0\x01",
        b"<999>1 - - - - - -",
        b"<34>1 9999-99-99T99:99:99Z h a p m - x",
        b"<34>Feb 30 25:61:61 h a: x",
        b"9999-12-31T23:59:60Z stdout F x",
        b"type=EXECVE msg=audit(99999999999999999999.999:99999999999999999999): argc=4294967295 a0=",
        b"type=SYSCALL msg=audit(-1.-1:-1): a0=\"",
        b"I1332 99:99:99.999999 1 x.go:1] y",
        b"1.2.3.4 - - [99/Foo/99999:99:99:99 +9999] \"\" 999 -",
    ];
    for payload in table {
        check(payload);
    }
    for payload in [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        "\\\"".repeat(10_000),
    ] {
        check(payload.as_bytes());
    }
    let nested = (0..12).fold("{\"a\":1}".to_owned(), |text, _| {
        serde_json::json!({ "message": text, "log": 1 }).to_string()
    });
    check(nested.as_bytes());
}

#[test]
fn every_prefix_and_a_changed_byte() {
    for template in templates() {
        let bytes = template.as_bytes();
        let step = (bytes.len() / 60).max(1);
        for cut in (1..bytes.len()).step_by(step) {
            check(&bytes[..cut]);
            for byte in [0, 0xff, b'"'] {
                let mut changed = bytes.to_vec();
                changed[cut] = byte;
                check(&changed);
            }
        }
    }
}

/// Puts `wrong` in place of value number `n` of the tree. Returns the number of values before the end, if it has fewer.
fn replace(value: &mut serde_json::Value, n: &mut usize, wrong: &serde_json::Value) -> bool {
    if *n == 0 {
        *value = wrong.clone();
        return true;
    }
    *n -= 1;
    match value {
        serde_json::Value::Array(items) => items.iter_mut().any(|item| replace(item, n, wrong)),
        serde_json::Value::Object(entries) => entries.values_mut().any(|item| replace(item, n, wrong)),
        _ => false,
    }
}

#[test]
fn wrong_types_and_times_in_every_field() {
    let wrong: Vec<serde_json::Value> = serde_json::from_str(
        r#"[null, true, -1, 1.5e300, 18446744073709551615, "", "x", [], [[]], {}, {"a": [1]}, ["", null, {}],
            "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "-9223372036854775808", -62135596800,
            1764028800000000000, 1764028800000, "1969-12-31T23:59:59Z", "\u0000", "é\u202e"]"#,
    )
    .unwrap();
    for template in templates() {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(&template) else {
            continue;
        };
        for wrong in &wrong {
            for n in 1.. {
                let mut changed = record.clone();
                if !replace(&mut changed, &mut { n }, wrong) {
                    break;
                }
                let text = changed.to_string();
                // An empty batch is the one record that leaves nothing.
                let empty = ["Records", "items", "Events"]
                    .iter()
                    .any(|key| changed[key].as_array().is_some_and(Vec::is_empty));
                if !empty {
                    check_as(SourceKind::Auto, text.as_bytes());
                }
            }
        }
        for key in record.as_object().into_iter().flat_map(|entries| entries.keys()) {
            for wrong in &wrong {
                let text = serde_json::json!({ key.as_str(): wrong }).to_string();
                if !matches!(key.as_str(), "Records" | "items" | "Events") {
                    check(text.as_bytes());
                }
            }
        }
    }
}

#[test]
fn large_records() {
    let ten = 10 << 20;
    check("a".repeat(ten).as_bytes());
    check(format!("{{\"a\":\"{}\"}}", "b".repeat(ten)).as_bytes());
    check(&vec![0xff; 1 << 20]);
    check("\"password\":\"".repeat(50_000).as_bytes());
    let too_large = "a".repeat(MAX_RECORD_BYTES + (1 << 20));
    for kind in kinds() {
        let batch = check_as(kind, too_large.as_bytes());
        assert_eq!(super::reasons(&batch), [("too_large", 1)]);
    }
}

#[test]
fn the_present_is_no_bound() {
    for now in [i64::MIN, -1, 0, i64::MAX] {
        for template in templates() {
            let mut batch = EventBatch::default();
            let record = RawRecord {
                position: Position {
                    topic: "t".into(),
                    partition: i32::MAX,
                    offset: i64::MAX,
                    index: u32::MAX,
                },
                timestamp: Timestamp::from_nanos(now),
                payload: template.into_bytes(),
            };
            let mut decoder = Decoder::new(SourceKind::Auto);
            decoder.decode(&record, Timestamp::from_nanos(now), &mut batch);
            decoder.flush(&record.position, Timestamp::from_nanos(now), &mut batch);
            assert!(batch.events.len() + batch.dead_letters.len() > 0 || holds_nothing(&record.payload));
        }
    }
}
