//! The tests that rules carry, run through the same decoders and engines as everything else.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use casebook_correlate::{
    CorrelationConfig, CorrelationEngine, Detector, Explained, RuleInfo, RuleKind, RuleSet, RuleTest, TestEvent,
    TestPayload, limits::MAX_EVENTS_PER_TEST,
};
use casebook_event::{Alert, Event, EventBatch, Position, RawRecord, Signal, SignalMessage, Source};
use casebook_ingest::{Decoder, SourceKind, TopicSettings, open_regular_file};

use crate::clock;
use crate::offline::replay::open_records;

/// Longest file of records that a test may name, in bytes.
const MAX_TEST_FILE_BYTES: u64 = 64 << 20;

/// What became of one test.
#[derive(Debug, Clone)]
pub struct TestOutcome {
    /// The rule's file.
    pub file: String,
    /// The rule.
    pub rule_id: String,
    /// Its title.
    pub rule_title: String,
    /// The test's name.
    pub name: String,
    /// `None` where it passed.
    pub failure: Option<TestFailure>,
}

/// Why a test failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// What was expected and what was found.
    pub message: String,
    /// What the rule, or each rule that the correlation names, made of the events that decided it.
    pub events: Vec<TestedEvent>,
}

impl From<String> for TestFailure {
    fn from(message: String) -> Self {
        Self {
            message,
            events: Vec::new(),
        }
    }
}

/// An event of a failed test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedEvent {
    /// Its number among the events of the test, from 1.
    pub number: usize,
    /// Which kind of log has it.
    pub source: Source,
    /// The rule looked at, and why it matched or not.
    pub explained: Explained,
    /// For a member of a correlation, the group it counted in; `None` where it did not count.
    pub group: Option<Vec<String>>,
}

/// Runs every test of every rule, as if its events were of a topic of which that is said.
pub fn run_rule_tests(rules: &Arc<RuleSet>, settings: &Arc<TopicSettings>) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for rule in rules.rules() {
        for test in &rule.tests {
            outcomes.push(TestOutcome {
                file: rule.file.clone(),
                rule_id: rule.id.to_string(),
                rule_title: rule.title.clone(),
                name: test.name.clone(),
                failure: run(rules, rule, test, settings).err(),
            });
        }
    }
    outcomes
}

fn run(
    rules: &Arc<RuleSet>,
    rule: &RuleInfo,
    test: &RuleTest,
    settings: &Arc<TopicSettings>,
) -> Result<(), TestFailure> {
    let events = events(rule, test, settings)?;
    let mut detector = Detector::new(rules.clone());
    let mut messages = Vec::new();
    for event in &events {
        detector.messages(event, &mut messages);
    }
    let of_signal = |message: &SignalMessage| match message {
        SignalMessage::Signal(signal) => Some(signal.clone()),
        _ => None,
    };
    let signals: Vec<Signal> = messages.iter().filter_map(of_signal).collect();
    let failed = |found: usize, message: String| TestFailure {
        message,
        events: explain(rules, rule, &events, &signals, found > test.expect),
    };
    if !rule.alerts && rule.kind == RuleKind::Detection {
        // It is there for correlations alone: what it would alert on are its matches.
        let matches: BTreeSet<_> = signals
            .iter()
            .filter(|s| s.matched_rule_id == rule.id)
            .map(|s| s.event.event_id)
            .collect();
        let found = matches.len();
        return if test.expect == found {
            Ok(())
        } else {
            Err(failed(
                found,
                format!("expected {}, found {found}", counted(test.expect, "match", "matches")),
            ))
        };
    }
    // A correlation that is there for others alone alerts where they are not.
    let below = rules.below(&rule.id);
    let mut engine = CorrelationEngine::new(&rules.only(&below), CorrelationConfig { provisional: false });
    let mut alerts: Vec<Alert> = Vec::new();
    for message in messages {
        let applied = engine.apply(message, &mut alerts);
        applied.map_err(|error| failed(0, error.to_string()))?;
    }
    let finished = engine.finish(&mut alerts);
    finished.map_err(|error| failed(0, error.to_string()))?;
    alerts.retain(|alert| alert.rule.id == *rule.id);
    let found = alerts.len();
    if found != test.expect {
        let groups: Vec<String> = alerts
            .iter()
            .map(|alert| format!("{} {:?}", alert.alert.time, alert.group))
            .collect();
        let colon = if groups.is_empty() { "" } else { ": " };
        let message = format!(
            "expected {}, found {found}{colon}{}",
            counted(test.expect, "alert", "alerts"),
            groups.join("; ")
        );
        return Err(failed(found, message));
    }
    if let Some(want) = &test.group
        && !alerts.iter().any(|alert| {
            want.iter()
                .all(|(field, value)| alert.group.get(field.as_str()).is_some_and(|v| v == value))
        })
    {
        let found: Vec<_> = alerts.iter().map(|alert| &alert.group).collect();
        return Err(format!("no alert of the group {want:?}; found {found:?}").into());
    }
    Ok(())
}

fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// The path of a file that a test names, which lies in the directory of the rule or below, links resolved: rules come from
/// others, and a test must not read whatever they like.
fn beside(rule_file: &str, name: &str) -> Result<PathBuf, String> {
    let shown = |reason: String| format!("`file: {name}`: {reason}");
    let directory = match Path::new(rule_file).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(name).components().all(plain) {
        return Err(shown(
            "a test's file is named from the rule's directory, without `..`".into(),
        ));
    }
    let resolved = |path: &Path| path.canonicalize().map_err(|error| shown(error.to_string()));
    let path = resolved(&directory.join(name))?;
    if !path.starts_with(resolved(directory)?) {
        return Err(shown("the link leads out of the rule's directory".into()));
    }
    let opened = open_regular_file(&path).and_then(|file| file.metadata());
    let length = opened.map_err(|error| shown(error.to_string()))?.len();
    if length > MAX_TEST_FILE_BYTES {
        return Err(shown(format!("{length} bytes are more than {MAX_TEST_FILE_BYTES}")));
    }
    Ok(path)
}

/// The events that the records of a test become.
fn events(rule: &RuleInfo, test: &RuleTest, settings: &Arc<TopicSettings>) -> Result<Vec<Event>, String> {
    let mut all = Vec::new();
    for (n, event) in test.events.iter().enumerate() {
        let mut batch = EventBatch::default();
        let mut decoder = Decoder::new(SourceKind::Source(event.source)).with_settings(settings.clone());
        let now = clock::now();
        let records = records(rule, event, n)?;
        for record in &records {
            decoder.decode(record, now, &mut batch);
        }
        if let Some(last) = records.last() {
            decoder.flush(&last.position, now, &mut batch);
        }
        if let Some(letter) = batch.dead_letters.first() {
            return Err(format!(
                "event {} is no {} record: {}: {}",
                n + 1,
                event.source,
                letter.reason,
                letter.detail
            ));
        }
        all.append(&mut batch.events);
    }
    Ok(all)
}

fn records(rule: &RuleInfo, event: &TestEvent, n: usize) -> Result<Vec<RawRecord>, String> {
    let text = match &event.payload {
        TestPayload::Text(text) => text,
        TestPayload::File(name) => {
            let path = beside(&rule.file, name)?;
            let records = open_records(&path, SourceKind::Source(event.source)).map_err(|error| error.to_string())?;
            let records: Vec<RawRecord> = records
                .take(MAX_EVENTS_PER_TEST + 1)
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?;
            return match records.len() {
                0 => Err(format!("{} holds no record", path.display())),
                1..=MAX_EVENTS_PER_TEST => Ok(records),
                _ => Err(format!(
                    "{} holds more than {MAX_EVENTS_PER_TEST} records",
                    path.display()
                )),
            };
        }
    };
    // The audit daemon's records are lines of their own; what they make together is the event.
    let lines: Vec<&str> = match event.source {
        Source::Auditd => text.lines().collect(),
        _ => vec![text],
    };
    let record = |payload: &str| RawRecord {
        position: Position {
            topic: "test".into(),
            partition: 0,
            offset: n as i64,
            index: 0,
        },
        timestamp: clock::now(),
        payload: payload.as_bytes().to_vec(),
    };
    Ok(lines.into_iter().map(record).collect())
}

/// Why the events that should have matched did not, or those that should not did.
fn explain(rules: &RuleSet, rule: &RuleInfo, events: &[Event], signals: &[Signal], too_many: bool) -> Vec<TestedEvent> {
    let asked = if rule.members.is_empty() {
        std::slice::from_ref(&rule.id)
    } else {
        &rule.members[..]
    };
    let correlates = !rule.members.is_empty();
    let mut tested = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let all: Vec<TestedEvent> = asked
            .iter()
            .filter_map(|id| {
                let explained = rules.explain(id, event)?;
                let group = signals
                    .iter()
                    .find(|s| s.rule_id == rule.id && s.matched_rule_id == *id && s.event.event_id == event.id)
                    .map(|signal| signal.group.iter().map(ToString::to_string).collect());
                Some(TestedEvent {
                    number: at + 1,
                    source: event.source,
                    explained,
                    group: group.filter(|_| correlates),
                })
            })
            .collect();
        // Of a correlation, what counted says most; an event that no member matched is listed with all of them.
        let any = all.iter().any(|one| one.explained.holds);
        tested.extend(all.into_iter().filter(|one| match correlates {
            true => one.explained.holds || !any,
            false => one.explained.holds == too_many,
        }));
    }
    tested
}

#[cfg(test)]
mod tests {
    use casebook_correlate::RuleFile;

    use super::*;

    #[test]
    fn the_rule_about_reused_audit_ids_passes_its_tests() {
        let pack = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
        let files = [
            "kubernetes/audit_id_seen.yml",
            "kubernetes/audit_id_seen_gke.yml",
            "correlation/audit_id_reused.yml",
        ]
        .map(|path| RuleFile {
            path: path.into(),
            text: std::fs::read_to_string(pack.join(path)).unwrap(),
        });
        let rules = Arc::new(RuleSet::load(files).rules.unwrap());
        let outcomes = run_rule_tests(&rules, &Arc::new(TopicSettings::NONE));
        assert!(outcomes.len() >= 15, "{} tests", outcomes.len());
        let failed: Vec<_> = outcomes
            .iter()
            .filter_map(|outcome| Some((&outcome.rule_title, &outcome.name, &outcome.failure.as_ref()?.message)))
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn a_test_reads_files_beside_its_rule_alone() {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules");
        std::fs::create_dir_all(rules.join("samples")).unwrap();
        std::fs::write(rules.join("samples/a.json"), "{}").unwrap();
        std::fs::write(directory.path().join("secret"), "{}").unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, rules.join(name)).unwrap();
        link("samples/a.json", "inside");
        link("../secret", "outside");
        link("..", "up");
        link("/dev/zero", "zero");
        link("loop", "loop");
        let pipe = rules.join("pipe");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let large = std::fs::File::create(rules.join("large")).unwrap();
        large.set_len(MAX_TEST_FILE_BYTES + 1).unwrap();
        let rule = rules.join("rule.yml");
        let check = |name: &str, want: Result<(), &str>| {
            let found = beside(rule.to_str().unwrap(), name);
            match want {
                Ok(()) => assert!(found.is_ok(), "{name}: {found:?}"),
                Err(part) => assert!(
                    found.as_ref().is_err_and(|error| error.contains(part)),
                    "{name}: {found:?}"
                ),
            }
        };
        check("samples/a.json", Ok(()));
        check("./samples/a.json", Ok(()));
        check("inside", Ok(()));
        check("../secret", Err("without `..`"));
        check("samples/../samples/a.json", Err("without `..`"));
        check("/etc/passwd", Err("without `..`"));
        check("outside", Err("leads out"));
        check("up/secret", Err("leads out"));
        check("zero", Err("leads out"));
        check("loop", Err("symbolic links"));
        check("pipe", Err("a pipe"));
        check("samples", Err("directory"));
        check("absent", Err("No such file"));
        check("large", Err("more than"));
    }
}
