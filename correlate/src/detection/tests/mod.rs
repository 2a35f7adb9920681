//! What detections mean, case by case, and the engine against the reference on random rules and events.

mod conformance;
mod filters;
mod mappings;

use std::sync::Arc;

use casebook_event::{Event, EventId, FieldId, Fields, Position, Source, Timestamp, Value};
use proptest::prelude::*;

use crate::detection::Detector;
use crate::detection::reference::matches;
use crate::load::RuleFile;
use crate::rule_set::RuleSet;

pub(super) fn rules(text: &str) -> RuleSet {
    let loaded = RuleSet::load([RuleFile {
        path: "rules.yml".into(),
        text: text.to_owned(),
    }]);
    let shown: Vec<_> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    loaded.rules.unwrap_or_else(|| panic!("{}\n{text}", shown.join("\n")))
}

pub(super) fn event(source: Source, native: &str, fields: &[(FieldId, &str)]) -> Event {
    let mut normalized = Fields::new();
    for (id, text) in fields {
        match id.info().field_type {
            casebook_event::FieldType::Long => normalized.set(*id, text.parse::<i64>().unwrap()),
            _ => normalized.set(*id, *text),
        }
    }
    Event {
        id: EventId::from_u128(1),
        time: Timestamp::from_seconds(1),
        ingested: Timestamp::from_seconds(2),
        source,
        position: Position {
            topic: "t".into(),
            partition: 0,
            offset: 1,
            index: 0,
        },
        fields: normalized,
        native: serde_json::from_str(native).unwrap_or(Value::Null).into(),
        raw: native.into(),
    }
}

pub(super) fn detect(rules: &RuleSet, detector: &mut Detector, event: &Event) -> Vec<String> {
    let mut signals = Vec::new();
    detector.detect(event, &mut signals);
    let found: Vec<String> = signals.iter().map(|signal| signal.rule_id.to_string()).collect();
    let expected: Vec<String> = rules
        .detections()
        .iter()
        .filter(|rule| rule.logsource.sources().any(|source| source == event.source))
        .filter(|rule| matches(&rule.logsource, &rule.detection, event))
        .map(|rule| rule.id.to_string())
        .collect();
    assert_eq!(found, expected, "the engine and the reference disagree on {event:?}");
    let explained: Vec<String> = rules
        .detections()
        .iter()
        .filter(|rule| rules.explain(&rule.id, event).unwrap().holds)
        .map(|rule| rule.id.to_string())
        .collect();
    assert_eq!(found, explained, "the engine and the explanation disagree on {event:?}");
    found
}

/// Whether a selection, given as flow YAML, matches a native record.
pub(super) fn selects(selection: &str, native: &str) -> bool {
    let text = format!(
        "title: t\nid: r\nlogsource: {{product: aws}}\ndetection:\n    selection: {selection}\n    condition: selection\n"
    );
    let rules = Arc::new(rules(&text));
    let event = event(
        Source::CloudTrail,
        native,
        &[(FieldId::SourceIp, "10.1.2.3"), (FieldId::ProcessPid, "42")],
    );
    !detect(&rules, &mut Detector::new(rules.clone()), &event).is_empty()
}

#[test]
fn values() {
    let check = |selection: &str, native: &str, want: bool| {
        assert_eq!(selects(selection, native), want, "{selection} on {native}");
    };
    // Text, case, wildcards.
    check("{a: FOO}", r#"{"a":"foo"}"#, true);
    check("{a|cased: FOO}", r#"{"a":"foo"}"#, false);
    check("{a|cased: FOO}", r#"{"a":"FOO"}"#, true);
    check("{a: foo}", r#"{"a":"foobar"}"#, false);
    check("{a: foo*}", r#"{"a":"FooBar"}"#, true);
    check("{a: '*bar'}", r#"{"a":"FooBar"}"#, true);
    check("{a: 'f?o*r'}", r#"{"a":"FooBar"}"#, true);
    check(r"{a: 'f\*'}", r#"{"a":"f*"}"#, true);
    check(r"{a: 'f\*'}", r#"{"a":"foo"}"#, false);
    check("{a|contains: ÄÖ}", r#"{"a":"xäöx"}"#, true);
    check("{a|contains: k}", "{\"a\":\"\u{212a}\"}", true);
    check("{a|startswith: [x, fo]}", r#"{"a":"Foo"}"#, true);
    check("{a|endswith: 'o?'}", r#"{"a":"Foo!"}"#, true);
    check("{a|contains|all: [f, r]}", r#"{"a":"foobar"}"#, true);
    check("{a|contains|all: [f, x]}", r#"{"a":"foobar"}"#, false);
    check("{a|contains: ''}", r#"{"a":"x"}"#, true);
    check("{a|contains: ''}", r#"{"b":"x"}"#, false);
    // Arrays: any member; `all` may be met by different members.
    check("{a: x}", r#"{"a":["w","x"]}"#, true);
    check("{a|all: [w, x]}", r#"{"a":["w","x"]}"#, true);
    check("{a.b: 2}", r#"{"a":[{"b":1},{"b":2}]}"#, true);
    // Numbers and booleans.
    check("{a: 4625}", r#"{"a":4625}"#, true);
    check("{a: 4625}", r#"{"a":"4625"}"#, true);
    check("{a: '4625'}", r#"{"a":4625}"#, true);
    check("{a: 0x1F}", r#"{"a":31}"#, true);
    check("{a: 0x1F}", r#"{"a":"0x1f"}"#, true);
    check("{a: 1}", r#"{"a":1.0}"#, true);
    check("{a: 1}", r#"{"a":true}"#, false);
    check("{a: true}", r#"{"a":true}"#, true);
    check("{a: 46*}", r#"{"a":4625}"#, true);
    check("{a|gt: 5}", r#"{"a":6}"#, true);
    check("{a|gte: 5.5}", r#"{"a":"5.5"}"#, true);
    check("{a|lt: 5}", r#"{"a":5}"#, false);
    check("{a|lte: 9223372036854775806}", r#"{"a":9223372036854775807}"#, false);
    check("{a|gt: 5}", r#"{"a":"many"}"#, false);
    check("{process.pid: 42}", "{}", true);
    check("{ProcessId|gt: 41}", "{}", true);
    // Nothing: missing, null, empty.
    check("{a: null}", "{}", true);
    check("{a: null}", r#"{"a":null}"#, true);
    check("{a: null}", r#"{"a":[]}"#, true);
    check("{a: null}", r#"{"a":""}"#, false);
    check("{a: ''}", r#"{"a":""}"#, true);
    check("{a: ''}", r#"{"a":null}"#, false);
    check("{a: ''}", "{}", false);
    check("{a: '*'}", r#"{"a":null}"#, false);
    check("{a: '*'}", r#"{"a":0}"#, true);
    check("{a|exists: true}", r#"{"a":null}"#, true);
    check("{a|exists: true}", "{}", false);
    check("{a|exists: false}", "{}", true);
    check("{a|neq: x}", "{}", true);
    check("{a|neq: x}", r#"{"a":"X"}"#, false);
    check("{a|neq: [x, y]}", r#"{"a":"z"}"#, true);
    // Expressions, networks, references, encodings.
    check("{a|re: 'F.o'}", r#"{"a":"xFoox"}"#, true);
    check("{a|re: 'F.o'}", r#"{"a":"foo"}"#, false);
    check("{a|re|i: '^f.o$'}", r#"{"a":"FOO"}"#, true);
    check("{a|re|s: 'a.b'}", r#"{"a":"a\nb"}"#, true);
    check("{a|re|m: '^b$'}", r#"{"a":"a\nb"}"#, true);
    check("{source.ip|cidr: 10.0.0.0/8}", "{}", true);
    check("{source.ip|cidr: [192.168.0.0/16, '::/0']}", "{}", false);
    check("{a|cidr: 'fe80::/10'}", r#"{"a":"fe80::1"}"#, true);
    check("{a|cidr: 10.0.0.0/8}", r#"{"a":"::ffff:10.0.0.1"}"#, true);
    check("{a|fieldref: b}", r#"{"a":"X","b":["w","x"]}"#, true);
    check("{a|fieldref: b}", r#"{"a":"x"}"#, false);
    check("{a|fieldref|endswith: b}", r#"{"a":"axb","b":"XB"}"#, true);
    check("{a|windash|contains: ' -enc'}", r#"{"a":"p /enc"}"#, true);
    check("{a|base64offset|contains: secret}", r#"{"a":"eHNlY3JldHg="}"#, true);
    check("{a|wide|base64offset|contains: cmd}", r#"{"a":"YwBtAGQA"}"#, true);
    check("{a|base64: foo}", r#"{"a":"Zm9v"}"#, true);
    // Objects are seen as their JSON text.
    check("{a|contains: '\"b\"'}", r#"{"a":{"b":1}}"#, true);
    // Lists of maps, keywords.
    check("[{a: x}, {b: y}]", r#"{"b":"y"}"#, true);
    check("[needle, other]", r#"{"a":{"b":["hay NEEDLE stack"]}}"#, true);
    check("[needle, {a: x}]", r#"{"b":"needle"}"#, true);
    check("{'|all': [hay, stack]}", r#"{"a":"hay","b":"stack"}"#, true);
    check("{'|re': 'n.*e'}", r#"{"a":"needle"}"#, true);
    check("[nee*le]", r#"{"a":"a needle b"}"#, true);
    check("needle", r#"{"a":"x"}"#, false);
    check("[record of text]", "a Record of Text", true);
}

#[test]
fn conditions() {
    let check = |condition: &str, native: &str, want: bool| {
        let text = format!(
            "title: t\nid: r\nlogsource: {{product: aws}}\ndetection:\n    sel_a: {{a: 1}}\n    sel_b: {{b: 1}}\n    \
             filter: {{c: 1}}\n    _hidden: {{d: 1}}\n    condition: {condition}\n"
        );
        let rules = Arc::new(rules(&text));
        let event = event(Source::CloudTrail, native, &[]);
        let found = !detect(&rules, &mut Detector::new(rules.clone()), &event).is_empty();
        assert_eq!(found, want, "{condition} on {native}");
    };
    check("sel_a and not filter", r#"{"a":1}"#, true);
    check("sel_a and not filter", r#"{"a":1,"c":1}"#, false);
    check("not sel_a", "{}", true);
    check("1 of sel_*", r#"{"b":1}"#, true);
    check("all of sel_*", r#"{"b":1}"#, false);
    check("all of them", r#"{"a":1,"b":1,"c":1}"#, true);
    check("1 of them", r#"{"d":1}"#, false);
    check("[sel_a, sel_b]", r#"{"b":1}"#, true);
}

/// What makes an event one of a category is true of all of them: a rule that requires more is a candidate for that. By the
/// category alone, every rule would be one for every event.
#[test]
fn rules_of_a_category_are_candidates_for_what_they_require() {
    let prefilter_fields = |selection: &str| {
        let rules = rules(&format!(
            "title: t\nid: r\nlogsource: {{product: linux, category: process_creation}}\n\
             detection: {{ s: {{ {selection} }}, condition: s }}\n"
        ));
        let plan = rules.plan();
        let literals = plan.sources[Source::Auditd as usize].rules_by_literal.keys();
        let names = literals.filter_map(|id| plan.atoms.atom(*id).field.map(|field| plan.atoms.field(field).name()));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(prefilter_fields("Image|endswith: /nmap"), ["Image"]);
    // Of two, by the rarer text.
    assert_eq!(
        prefilter_fields("Image|endswith: /sh, CommandLine|contains: /etc/shadow"),
        ["CommandLine"]
    );
    // What no literal decides is a candidate for its category.
    assert_eq!(prefilter_fields("ProcessId|gt: 5").len(), 1);
}

#[test]
fn matches_go_to_those_who_want_them() {
    let text = "
title: base a
name: a
id: id-a
logsource: {product: aws}
detection: {s: {kind: a}, condition: s}
---
title: base b
name: b
id: id-b
logsource: {product: linux, service: sshd}
detection: {s: {user.name: bob}, condition: s}
---
title: count
id: count
correlation: {type: event_count, rules: [a], group-by: [who, region], timespan: 5m, condition: {gte: 2}, aliases: {who: {a: userName}}}
---
title: sequence
id: sequence
correlation: {type: temporal_ordered, rules: [id-a, b], group-by: [who], timespan: 5m, generate: true, aliases: {who: {id-a: userName, b: user.name}}}
";
    let rules = Arc::new(rules(text));
    let mut detector = Detector::new(rules.clone());
    let mut check = |source: Source, native: &str, fields: &[(FieldId, &str)], want: &[(&str, &[&str])]| {
        let mut signals = Vec::new();
        detector.detect(&event(source, native, fields), &mut signals);
        let found: Vec<_> = signals
            .iter()
            .map(|s| (&*s.rule_id, s.group.iter().map(|g| g.as_str()).collect::<Vec<_>>()))
            .collect();
        let want: Vec<_> = want.iter().map(|(id, group)| (*id, group.to_vec())).collect();
        assert_eq!(found, want, "{native}");
    };
    check(
        Source::CloudTrail,
        r#"{"kind":"a","userName":"bob","region":"eu"}"#,
        &[],
        &[("id-a", &[]), ("count", &["bob", "eu", ""]), ("sequence", &["bob", ""])],
    );
    check(
        Source::CloudTrail,
        r#"{"kind":"a","userName":"bob"}"#,
        // A cloud's log is in no cluster.
        &[(FieldId::OrchestratorClusterName, "east")],
        &[("id-a", &[]), ("sequence", &["bob", ""])],
    );
    check(Source::CloudTrail, r#"{"kind":"a"}"#, &[], &[("id-a", &[])]);
    check(
        Source::Auth,
        "text",
        &[(FieldId::UserName, "bob")],
        &[("id-b", &[]), ("sequence", &["bob", ""])],
    );
    check(
        Source::Auth,
        "text",
        &[(FieldId::UserName, "bob"), (FieldId::OrchestratorClusterName, "east")],
        &[("id-b", &[]), ("sequence", &["bob", "east"])],
    );
    check(Source::CloudTrail, "{}", &[(FieldId::UserName, "bob")], &[]);
    let info = |id: &str| rules.get(id).unwrap();
    assert!(info("id-a").alerts && info("count").alerts);
    assert_eq!(info("sequence").sources, [Source::CloudTrail, Source::Auth]);
    assert_eq!(
        info("sequence").members.iter().map(|m| &**m).collect::<Vec<_>>(),
        ["id-a", "id-b"]
    );
}

#[test]
fn long_group_values_are_bounded_and_stay_apart() {
    let long = |end: &str| crate::detection::signals::group_value(format!("{}{end}", "ä".repeat(5_000)).into());
    assert!(long("1").len() <= casebook_event::MAX_GROUP_VALUE_BYTES);
    assert_ne!(long("1"), long("2"));
}

const FIELDS: &[&str] = &["@timestamp", "user.name", "Image", "a.b", "list", "n", "UserName"];

fn text() -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(
        prop::sample::select(vec!["a", "A", "b", "ä", "Ä", "-x", "1", " ", "\\", "k", "\u{212a}"]),
        0..5,
    )
    .prop_map(|parts| parts.concat())
}

fn rule_text() -> impl Strategy<Value = String> + Clone {
    let piece = prop::sample::select(vec!["a", "A", "b", "ä", "-x", "1", "*", "?", "\\", "\\*", "k"]);
    prop::collection::vec(piece, 0..5).prop_map(|parts| parts.concat())
}

fn item() -> impl Strategy<Value = String> + Clone {
    let field = prop::sample::select(FIELDS.to_vec());
    let modifiers = prop::sample::select(vec![
        "",
        "",
        "|contains",
        "|startswith",
        "|endswith",
        "|contains|all",
        "|all",
        "|cased",
        "|contains|cased",
        "|neq",
        "|contains|neq",
        "|windash|contains",
        "|base64offset|contains",
        "|startswith|cased",
        "|fieldref",
    ]);
    let plain =
        (field.clone(), modifiers, prop::collection::vec(rule_text(), 1..4)).prop_map(|(field, modifiers, values)| {
            let literal = modifiers.contains("base64") || modifiers.contains("fieldref");
            let quoted: Vec<_> = values
                .iter()
                .map(|value| {
                    if literal {
                        value.replace(['*', '?', '\\'], "")
                    } else {
                        value.clone()
                    }
                })
                .map(|value| format!("'{value}'"))
                .collect();
            format!("{field}{modifiers}: [{}]", quoted.join(", "))
        });
    let special = prop::sample::select(vec![
        "|exists: true",
        "|exists: false",
        ": null",
        ": 1",
        ": [1, a]",
        "|gt: 1",
        "|lte: 1",
        "|re: 'a.?b'",
        "|re|i: '^A'",
        "|cidr: 10.0.0.0/8",
        "|fieldref: user.name",
        "|fieldref|contains: list",
        "|hour: 1",
        "|year|gt: 1969",
        "|minute|neq: 0",
        ": ''",
    ]);
    let item = prop_oneof![4 => plain, 1 => (field, special).prop_map(|(field, rest)| format!("{field}{rest}"))];
    // YAML wants a key that begins with `@` quoted.
    item.prop_map(
        |item| match item.strip_prefix('@').and_then(|item| item.split_once(": ")) {
            Some((key, values)) => format!("'@{key}': {values}"),
            None => item,
        },
    )
}

fn selection() -> impl Strategy<Value = String> {
    let map = prop::collection::vec(item(), 1..4).prop_map(|items| {
        // A key may stand only once in a mapping.
        let mut seen = std::collections::HashSet::new();
        let items: Vec<_> = items
            .into_iter()
            .filter(|item| seen.insert(item.split(": ").next().map(str::to_owned)))
            .collect();
        format!("{{{}}}", items.join(", "))
    });
    let map = map.boxed();
    let keywords = prop::collection::vec(rule_text(), 1..3).prop_map(|texts| format!("['{}']", texts.join("', '")));
    prop_oneof![
        4 => map.clone(),
        1 => prop::collection::vec(map, 1..3).prop_map(|maps| format!("[{}]", maps.join(", "))),
        1 => keywords,
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "s1",
        "s1 and s2",
        "s1 or s2",
        "s1 and not s2",
        "not s1",
        "not (s1 or s2) or s3",
        "1 of s*",
        "all of them",
        "s3 and (s1 or not s2)",
        "1 of s* and not s3",
    ]);
    let logsource = prop::sample::select(vec![
        "{product: aws}",
        "{product: linux}",
        "{category: application}",
        "{product: linux, category: process_creation}",
    ]);
    (logsource, selection(), selection(), selection(), condition).prop_map(|(logsource, s1, s2, s3, condition)| {
        format!(
            "logsource: {logsource}\ndetection:\n    s1: {s1}\n    s2: {s2}\n    s3: {s3}\n    condition: {condition}\n"
        )
    })
}

fn value() -> impl Strategy<Value = String> {
    let quoted = text().prop_map(|text| serde_json::to_string(&text).unwrap());
    let other = prop::sample::select(vec![
        "null",
        "[]",
        "1",
        "1.0",
        "2",
        "true",
        r#""10.1.2.3""#,
        r#""1""#,
        r#""1970-01-01T01:00:01Z""#,
        r#"{"b":"a"}"#,
    ]);
    let leaf = prop_oneof![4 => quoted, 1 => other.prop_map(str::to_owned)];
    prop_oneof![3 => leaf.clone(), 1 => prop::collection::vec(leaf, 1..3).prop_map(|all| format!("[{}]", all.join(",")))]
}

fn random_event() -> impl Strategy<Value = Event> {
    let source = prop::sample::select(Source::ALL.to_vec());
    let native = (
        prop::option::of(value()),
        prop::option::of(value()),
        prop::option::of(value()),
        value(),
    )
        .prop_map(|(ab, list, n, user)| {
            let mut entries = vec![format!("\"UserName\":{user}")];
            entries.extend(ab.map(|v| format!("\"a\":{{\"b\":{v}}}")));
            entries.extend(list.map(|v| format!("\"list\":{v}")));
            entries.extend(n.map(|v| format!("\"n\":{v}")));
            format!("{{{}}}", entries.join(","))
        });
    let kind = prop::sample::select(vec![
        ("process", "start"),
        ("process", "end"),
        ("file", "start"),
        ("", ""),
    ]);
    let decisive = prop::sample::select(vec!["true", "false", ""]);
    (source, native, text(), text(), any::<bool>(), kind, decisive).prop_map(
        |(source, native, user, image, is_text, (category, kind), decisive)| {
            let native = if is_text { user.clone() } else { native };
            event(
                source,
                &native,
                &[
                    (FieldId::UserName, &user),
                    (FieldId::ProcessExecutable, &image),
                    (FieldId::EventCategory, category),
                    (FieldId::EventType, kind),
                    (FieldId::AuditDecisive, decisive),
                ],
            )
        },
    )
}

fn cases() -> u32 {
    std::env::var("CASEBOOK_PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_engine_agrees_with_the_reference(
        rule_texts in prop::collection::vec(rule(), 1..6),
        events in prop::collection::vec(random_event(), 1..8),
    ) {
        let text: Vec<_> = rule_texts.iter().enumerate().map(|(n, rule)| format!("title: t{n}\nid: r{n}\n{rule}")).collect();
        let rules = Arc::new(rules(&text.join("---\n")));
        let mut detector = Detector::new(rules.clone());
        for event in &events {
            detect(&rules, &mut detector, event);
        }
    }
}
