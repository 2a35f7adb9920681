//! The law of reading again: whoever reads a partition from where its decoder says, and drops what comes of records that were
//! committed, emits what a decoder emits that has read everything.

use casebook_event::{EventBatch, Position, RawRecord, Timestamp};
use proptest::prelude::*;

use crate::decode::*;

/// What is emitted: the position, and the text.
type Given = Vec<(i64, u32, String)>;

fn record(offset: usize, (millis, payload): &(i64, String)) -> RawRecord {
    RawRecord {
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: offset as i64,
            index: 0,
        },
        timestamp: Timestamp::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000),
        payload: payload.clone().into_bytes(),
    }
}

/// What a decoder emits of `records` from `from` on, without what comes of those before `committed`.
fn read(decoder: &mut Decoder, records: &[(i64, String)], from: usize, committed: usize, to: usize, given: &mut Given) {
    for (offset, one) in records.iter().enumerate().take(to).skip(from) {
        let mut batch = EventBatch::default();
        decoder.decode(&record(offset, one), Timestamp::from_seconds(0), &mut batch);
        if offset >= committed {
            let events = batch
                .events
                .iter()
                .map(|event| (event.position.offset, event.position.index, event.raw.to_string()));
            given.extend(events);
        }
    }
}

fn check(kind: &str, records: &[(i64, String)], cuts: &[usize]) {
    let new = || Decoder::new(kind.parse().unwrap());
    let mut want = Given::new();
    read(&mut new(), records, 0, 0, records.len(), &mut want);
    let (mut decoder, mut got) = (new(), Given::new());
    let (mut from, mut committed) = (0, 0);
    for &cut in cuts.iter().chain([&records.len()]) {
        let to = cut.clamp(committed, records.len());
        read(&mut decoder, records, from, committed, to, &mut got);
        let resume = decoder.resume().map_or(to, |offset| offset as usize).min(to);
        (from, committed, decoder) = (resume, to, new());
    }
    assert_eq!(got, want, "{records:#?} cut at {cuts:?}");
}

/// Milliseconds after the record before: now and then longer than anything waits, or backwards.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..500i64, 2 => 25_000..35_000i64, 1 => -40_000..0i64]
}

fn records(line: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<(i64, String)>> {
    proptest::collection::vec((step(), line), 1..40).prop_map(|steps| {
        let mut now = 0;
        let timed = steps.into_iter().map(|(step, line)| {
            now += step;
            (now, line)
        });
        timed.collect()
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..40usize, 1..6).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

const LINES: &[&str] = &[
    "P a",
    "P b",
    "F c",
    "F java.lang.IllegalStateException: x",
    "F \tat a.B.c(B.java:1)",
    "F Caused by: java.io.IOException: y",
];

fn container() -> impl Strategy<Value = String> {
    (proptest::sample::select(LINES), 0..3u8).prop_map(|(line, pod)| {
        let (tag, text) = line.split_at(1);
        serde_json::json!({"log": text.trim_start_matches(' '), "logtag": tag, "kubernetes": {"pod_name": format!("p{pod}")}}).to_string()
    })
}

/// Times within an audit log are not in order where several processors write it.
fn audit() -> impl Strategy<Value = String> {
    let kind = proptest::sample::select(&["SYSCALL", "EXECVE", "CWD", "PROCTITLE", "EOE"][..]);
    (kind, 0..6u32, 0..4_000u32).prop_map(|(kind, serial, millis)| {
        // The time belongs to the event: it is the same in all its records.
        let millis = millis / 1_000 * 1_000 + serial * 137;
        format!(
            "node=a type={kind} msg=audit({}.{:03}:{serial}): a0=\"x\"",
            10 + millis / 1_000,
            millis % 1_000
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_containers(records in records(container()), cuts in cuts()) {
        check("container", &records, &cuts);
    }

    #[test]
    fn records_of_audit_events(records in records(audit()), cuts in cuts()) {
        check("auditd", &records, &cuts);
    }
}

/// Two lines that lose their end at once, since nothing came for long, are emitted with one record: whoever reads again from the
/// second of them must not find it emitted with a record that was committed.
#[test]
fn lines_that_grow_old_together_are_emitted_together() {
    let line = |pod: &str, tag: &str| {
        format!(r#"{{"log":"{pod}{tag}","logtag":"{tag}","kubernetes":{{"pod_name":"{pod}"}}}}"#)
    };
    let records = [
        (0, line("p", "P")),
        (0, line("q", "P")),
        (40_000, line("r", "F")),
        (40_001, line("r", "F")),
    ];
    check("container", &records, &[3]);
}
