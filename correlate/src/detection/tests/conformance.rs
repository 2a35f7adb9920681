//! What Sigma's specification (2.1) says, sentence by sentence: each modifier of its appendix, the value types and escapes of
//! its "Detection" section, and its conditions. The engine, the reference and the explanation answer every case.
//!
//! Above the tests stand the document and the section; a case is a selection, a record, and whether the one matches the other.

use std::sync::Arc;

use casebook_event::{FieldId, Source};

use super::{detect, event, rules, selects};
use crate::detection::Detector;
use crate::load::RuleFile;
use crate::rule_set::RuleSet;
use crate::sigma::modifier::MODIFIERS;

fn holds(cases: &[(&str, &str, bool)]) {
    for (selection, record, want) in cases {
        assert_eq!(selects(selection, record), *want, "{selection} on {record}");
    }
}

#[test]
fn every_modifier_has_a_case() {
    let cases = include_str!("conformance.rs");
    for modifier in MODIFIERS {
        let is_used = |after: &str| cases.contains(&format!("|{modifier}{after}"));
        // As the last modifier of a key, quoted or not, or before another.
        assert!([":", "'", "|"].into_iter().any(is_used), "{modifier}");
    }
}

// Modifiers 2.1, "Generic Modifiers".

#[test]
fn all_links_a_list_with_and() {
    holds(&[
        ("{c|contains: [one, two]}", r#"{"c":"only one"}"#, true),
        ("{c|contains|all: [one, two]}", r#"{"c":"only one"}"#, false),
        ("{c|contains|all: [one, two]}", r#"{"c":"two, then one"}"#, true),
        ("{c|all|contains: [one, two]}", r#"{"c":"two, then one"}"#, true),
        ("{c|endswith|all: [ab, b]}", r#"{"c":"xab"}"#, true),
        ("{c|re|all: ['^a', 'z$']}", r#"{"c":"a to z"}"#, true),
        ("{'|all': [one, two]}", r#"{"a":"one","b":"two"}"#, true),
        ("{'|all': [one, two]}", r#"{"a":"one"}"#, false),
    ]);
}

#[test]
fn startswith_endswith_and_contains_say_where() {
    holds(&[
        ("{c|startswith: adm}", r#"{"c":"administrator"}"#, true),
        ("{c|startswith: adm}", r#"{"c":"sysadm"}"#, false),
        (r"{c|endswith: '\cmd.exe'}", r#"{"c":"C:\\Windows\\cmd.exe"}"#, true),
        (r"{c|endswith: '\cmd.exe'}", r#"{"c":"C:\\Windows\\cmd.exe /c"}"#, false),
        ("{c|contains: script}", r#"{"c":"a JavaScript file"}"#, true),
        ("{c|contains: script}", r#"{"c":"scrip"}"#, false),
        ("{c|contains: 'a*z'}", r#"{"c":"from a to z here"}"#, true),
        ("{c|startswith: 'a?c'}", r#"{"c":"abcd"}"#, true),
    ]);
}

#[test]
fn exists_asks_for_the_field_and_not_for_its_value() {
    holds(&[
        ("{c|exists: true}", r#"{"c":""}"#, true),
        ("{c|exists: true}", r#"{"c":null}"#, true),
        ("{c|exists: true}", r#"{"d":1}"#, false),
        ("{c|exists: false}", r#"{"c":null}"#, false),
        ("{c|exists: false}", r#"{"d":1}"#, true),
        ("{c.d|exists: true}", r#"{"c":{"d":{}}}"#, true),
        ("{c.d|exists: true}", r#"{"c":[{"x":1},{"d":2}]}"#, true),
    ]);
}

#[test]
fn matching_is_without_case_unless_cased() {
    holds(&[
        ("{c: Whoami}", r#"{"c":"WHOAMI"}"#, true),
        ("{c|cased: Whoami}", r#"{"c":"WHOAMI"}"#, false),
        ("{c|cased: Whoami}", r#"{"c":"Whoami"}"#, true),
        ("{c|contains|cased: Who}", r#"{"c":"I am whoami"}"#, false),
        ("{c|cased|endswith: AMI}", r#"{"c":"whoAMI"}"#, true),
        ("{c|cased: 'W*i'}", r#"{"c":"WHOAMi"}"#, true),
        ("{c|cased: 'W*i'}", r#"{"c":"wHOAMi"}"#, false),
    ]);
}

#[test]
fn neq_is_any_other_value() {
    holds(&[
        ("{c|neq: a}", r#"{"c":"b"}"#, true),
        ("{c|neq: a}", r#"{"c":"A"}"#, false),
        ("{c|neq: [a, b]}", r#"{"c":"b"}"#, false),
        ("{c|neq: 5}", r#"{"c":6}"#, true),
        ("{c|neq: 5}", r#"{"c":"5"}"#, false),
        ("{c|contains|neq: a}", r#"{"c":"bcd"}"#, true),
        ("{c|contains|neq: a}", r#"{"c":"bad"}"#, false),
        ("{c|cidr|neq: 10.0.0.0/8}", r#"{"c":"192.0.2.1"}"#, true),
        ("{c|re|neq: '^a'}", r#"{"c":"ab"}"#, false),
    ]);
}

// Modifiers 2.1, "String Modifiers".

#[test]
fn windash_takes_any_of_the_five_dashes() {
    for dash in ["-", "/", "–", "—", "―"] {
        let record = format!(r#"{{"c":"tool {dash}enc x"}}"#);
        holds(&[
            ("{c|windash|contains: ' -enc '}", &record, true),
            ("{c|windash|contains: ' /enc '}", &record, true),
            ("{c|windash|contains: ' -dec '}", &record, false),
        ]);
    }
    holds(&[
        ("{c|windash|contains|all: [' -a', ' -b']}", r#"{"c":"x /a –b"}"#, true),
        ("{c|contains: ' -a'}", r#"{"c":"x /a"}"#, false),
    ]);
}

#[test]
fn re_is_case_sensitive_and_searches() {
    holds(&[
        ("{c|re: 'a.c'}", r#"{"c":"xabcx"}"#, true),
        ("{c|re: 'a.c'}", r#"{"c":"ABC"}"#, false),
        ("{c|re: '^ab+$'}", r#"{"c":"abbb"}"#, true),
        ("{c|re: '^ab+$'}", r#"{"c":"abbbc"}"#, false),
        ("{c|re: '[a-c]{2,3}x?(y|z)'}", r#"{"c":"..bcz"}"#, true),
        (r"{c|re: '\d+\.\d+'}", r#"{"c":"v1.25"}"#, true),
        ("{c|re|i: 'a.c'}", r#"{"c":"ABC"}"#, true),
        ("{c|re: '^b$'}", r#"{"c":"a\nb\nc"}"#, false),
        ("{c|re|m: '^b$'}", r#"{"c":"a\nb\nc"}"#, true),
        ("{c|re: 'a.b'}", r#"{"c":"a\nb"}"#, false),
        ("{c|re|s: 'a.b'}", r#"{"c":"a\nb"}"#, true),
        ("{c|re|i|s: 'A.B'}", r#"{"c":"a\nb"}"#, true),
        ("{c|re: ['^x', '^y']}", r#"{"c":"yes"}"#, true),
    ]);
}

#[test]
fn encodings_respell_the_value() {
    // `cmd` in UTF-16 is 63 00 6d 00 64 00, which JSON can hold as NULs.
    let wide = r#"{"c":"c\u0000m\u0000d\u0000"}"#;
    let big = r#"{"c":"\u0000c\u0000m\u0000d"}"#;
    holds(&[
        ("{c|base64: cmd}", r#"{"c":"Y21k"}"#, true),
        ("{c|base64|contains: cmd}", r#"{"c":"echo Y21k | base64 -d"}"#, true),
        ("{c|base64|contains: cmd}", r#"{"c":"cmd"}"#, false),
        ("{c|wide: cmd}", wide, true),
        ("{c|utf16le: cmd}", wide, true),
        ("{c|utf16be: cmd}", wide, false),
        ("{c|utf16be: cmd}", big, true),
        ("{c|utf16|base64: cmd}", r#"{"c":"//5jAG0AZAA="}"#, true),
        ("{c|utf16le|base64: cmd}", r#"{"c":"YwBtAGQA"}"#, true),
        ("{c|wide|base64offset|contains: cmd}", r#"{"c":"eABjAG0AZAA="}"#, true),
        // The three shifts of `secret`, after nothing, one byte and two.
        ("{c|base64offset|contains: secret}", r#"{"c":"c2VjcmV0"}"#, true),
        ("{c|base64offset|contains: secret}", r#"{"c":"eHNlY3JldA=="}"#, true),
        ("{c|base64offset|contains: secret}", r#"{"c":"eHhzZWNyZXQ="}"#, true),
        ("{c|base64offset|contains: secret}", r#"{"c":"secret"}"#, false),
    ]);
}

// Modifiers 2.1, "Numeric Modifiers".

#[test]
fn numbers_are_compared_as_numbers() {
    holds(&[
        ("{n|lt: 10}", r#"{"n":9}"#, true),
        ("{n|lt: 10}", r#"{"n":10}"#, false),
        ("{n|lte: 10}", r#"{"n":10}"#, true),
        ("{n|gt: 10}", r#"{"n":10}"#, false),
        ("{n|gt: 10}", r#"{"n":"11"}"#, true),
        ("{n|gte: 10}", r#"{"n":10.0}"#, true),
        ("{n|gt: -1}", r#"{"n":0}"#, true),
        ("{n|gt: 9}", r#"{"n":"ten"}"#, false),
        ("{n|gt: 9}", r#"{"m":10}"#, false),
        ("{n|gt: 9}", r#"{"n":[1,10]}"#, true),
    ]);
}

// Modifiers 2.1, "Time Modifiers".

#[test]
fn parts_of_dates_have_their_ranges() {
    let check = |item: &str, want: bool| {
        let text =
            format!("title: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{ s: {{ {item} }}, condition: s }}\n");
        let file = RuleFile { path: "f".into(), text };
        let loaded = RuleSet::load([file]);
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
        assert_eq!(!codes.contains(&"bad-value"), want, "{item}: {codes:?}");
    };
    for (part, least, most) in [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day", 1, 31),
        // ISO 8601 has years of 53 weeks, where the specification says 52.
        ("week", 1, 53),
        ("month", 1, 12),
    ] {
        check(&format!("t|{part}: {least}"), true);
        check(&format!("t|{part}|lte: {most}"), true);
        check(&format!("t|{part}: {}", least - 1), false);
        check(&format!("t|{part}|gt: {}", most + 1), false);
    }
    check("t|hour: 1.5", false);
    check("t|hour: noon", false);
    check("t|hour: '7'", true);
}

#[test]
fn parts_of_dates_are_numbers() {
    let friday = r#"{"t":"2026-11-27T22:41:05Z"}"#;
    holds(&[
        ("{t|minute: 41}", friday, true),
        ("{t|hour: 22}", friday, true),
        ("{t|day: 27}", friday, true),
        ("{t|week: 48}", friday, true),
        ("{t|month: 11}", friday, true),
        ("{t|year: 2026}", friday, true),
        ("{t|hour: [21, 22]}", friday, true),
        ("{t|hour: 10}", friday, false),
        ("{t|hour|gte: 20}", friday, true),
        ("{t|hour|lt: 6}", friday, false),
        ("{t|hour|neq: 22}", friday, false),
        ("{t|hour: 22}", r#"{"t":1795819265}"#, true),
        ("{t|hour: 22}", r#"{"t":"1795819265000"}"#, true),
        ("{t|hour: 22}", r#"{"t":"soon"}"#, false),
        ("{t|hour: 22}", "{}", false),
        // The event's own time: one second past the epoch, in these cases.
        ("{'@timestamp|hour': 0}", "{}", true),
        ("{'@timestamp|year|gt': 1970}", "{}", false),
        ("{'@timestamp': '1970-01-01T00:00:01Z'}", "{}", true),
        ("{'@timestamp|startswith': '1970'}", r#"{"@timestamp":"2026"}"#, true),
    ]);
}

// Modifiers 2.1, "IP (Internet Protocol) Modifiers".

#[test]
fn cidr_is_a_range_of_either_version() {
    holds(&[
        ("{ip|cidr: 10.0.0.0/8}", r#"{"ip":"10.255.0.1"}"#, true),
        ("{ip|cidr: 10.0.0.0/8}", r#"{"ip":"11.0.0.1"}"#, false),
        ("{ip|cidr: '2001:db8::/32'}", r#"{"ip":"2001:DB8:1::1"}"#, true),
        ("{ip|cidr: '2001:db8::/32'}", r#"{"ip":"2001:db9::1"}"#, false),
        ("{ip|cidr: [10.0.0.0/8, '::1/128']}", r#"{"ip":"::1"}"#, true),
        ("{ip|cidr: 0.0.0.0/0}", r#"{"ip":"no address"}"#, false),
        ("{ip|cidr: 192.0.2.1}", r#"{"ip":"192.0.2.1"}"#, true),
    ]);
}

// Modifiers 2.1, "Specific Modifiers".

#[test]
fn fieldref_compares_two_fields() {
    holds(&[
        ("{a|fieldref: b}", r#"{"a":"x","b":"X"}"#, true),
        ("{a|fieldref: b}", r#"{"a":"x","b":"y"}"#, false),
        ("{a|fieldref: b}", r#"{"a":"x"}"#, false),
        ("{a|fieldref|neq: b}", r#"{"a":"x","b":"y"}"#, true),
        ("{a|fieldref|neq: b}", r#"{"a":"x","b":"x"}"#, false),
        ("{a|fieldref|startswith: b}", r#"{"a":"xyz","b":"xy"}"#, true),
        ("{a|fieldref|endswith: b}", r#"{"a":"xyz","b":"yz"}"#, true),
        ("{a|fieldref|contains: b}", r#"{"a":"xyz","b":"y"}"#, true),
        ("{a|fieldref|cased: b}", r#"{"a":"x","b":"X"}"#, false),
    ]);
}

#[test]
fn expand_stands_for_a_list_of_values() {
    let check = |selection: &str, record: &str, want: bool| {
        let text = format!(
            "mapping: {{ placeholders: {{ admins: [alice, 'b*'], hosts: [h1, h2], limit: 10, night: [22, 23], net: 10.0.0.0/8 }} }}\n---\n\
             title: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{ s: {selection}, condition: s }}\n"
        );
        let rules = Arc::new(rules(&text));
        let event = event(Source::CloudTrail, record, &[]);
        let found = !detect(&rules, &mut Detector::new(rules.clone()), &event).is_empty();
        assert_eq!(found, want, "{selection} on {record}");
    };
    check("{u|expand: '%admins%'}", r#"{"u":"Alice"}"#, true);
    check("{u|expand: '%admins%'}", r#"{"u":"bob"}"#, true);
    check("{u|expand: '%admins%'}", r#"{"u":"carol"}"#, false);
    check("{u|expand: [carol, '%admins%']}", r#"{"u":"carol"}"#, true);
    check(
        "{u|expand|contains: '%hosts%-%admins%'}",
        r#"{"u":"on h2-alice"}"#,
        true,
    );
    check("{u|contains|all|expand: '%hosts%'}", r#"{"u":"h1 and h2"}"#, true);
    check("{u|contains|all|expand: '%hosts%'}", r#"{"u":"h1"}"#, false);
    check("{u|expand|re: '^%hosts%$'}", r#"{"u":"h1"}"#, true);
    // Rules 2.1, "Placeholders": an escaped percent sign is one, and begins no name.
    check(r"{u|expand: '\%plain%hosts%'}", r#"{"u":"%plainh2"}"#, true);
    check(r"{u|expand: '\%hosts%'}", r#"{"u":"%hosts%"}"#, true);
    check(r"{u|expand: 'CORP\\%admins%'}", r#"{"u":"corp\\bob"}"#, true);
    check("{n|expand|gt: '%limit%'}", r#"{"n":11}"#, true);
    check("{n|expand|gt: '%limit%'}", r#"{"n":10}"#, false);
    check("{t|hour|expand: '%night%'}", r#"{"t":"2026-11-25T23:10:00Z"}"#, true);
    check("{t|hour|expand: '%night%'}", r#"{"t":"2026-11-25T12:10:00Z"}"#, false);
    check("{ip|cidr|expand: '%net%'}", r#"{"ip":"10.1.2.3"}"#, true);
    // Without the modifier it is a text.
    check("{u: '%admins%'}", r#"{"u":"%admins%"}"#, true);
}

// Rules 2.1, "Detection": lists, maps, values, wildcards, escapes.

#[test]
fn values_and_their_escapes() {
    holds(&[
        ("{c: 'a*'}", r#"{"c":"abc"}"#, true),
        ("{c: 'a?c'}", r#"{"c":"abc"}"#, true),
        ("{c: 'a?c'}", r#"{"c":"ac"}"#, false),
        (r"{c: 'a\*'}", r#"{"c":"a*"}"#, true),
        (r"{c: 'a\*'}", r#"{"c":"abc"}"#, false),
        (r"{c: 'a\?'}", r#"{"c":"a?"}"#, true),
        // A backslash that escapes nothing is itself, and so is one that is escaped.
        (r"{c: 'C:\Windows'}", r#"{"c":"C:\\Windows"}"#, true),
        (r"{c: 'a\\*'}", r#"{"c":"a\\bc"}"#, true),
        (r"{c: 'a\\\*'}", r#"{"c":"a\\*"}"#, true),
        ("{c: ''}", r#"{"c":""}"#, true),
        ("{c: ''}", r#"{"c":"x"}"#, false),
        ("{c: null}", r#"{"d":1}"#, true),
        ("{c: null}", r#"{"c":"x"}"#, false),
        ("{c: 5}", r#"{"c":5}"#, true),
        ("{c: true}", r#"{"c":true}"#, true),
        ("{c: [a, b]}", r#"{"c":"b"}"#, true),
        ("{c: a, d: b}", r#"{"c":"a","d":"b"}"#, true),
        ("{c: a, d: b}", r#"{"c":"a"}"#, false),
        ("[{c: a}, {d: b}]", r#"{"d":"b"}"#, true),
        ("[{c: a, d: b}, {e: 1}]", r#"{"c":"a","e":2}"#, false),
        ("[keyword, 'two words']", r#"{"x":{"y":"has Two Words in it"}}"#, true),
        ("[keyword]", r#"{"keyword":"x"}"#, false),
    ]);
}

// Rules 2.1, "Condition".

#[test]
fn conditions_and_their_order() {
    let check = |condition: &str, record: &str, want: bool| {
        let text = format!(
            "title: t\nid: r\nlogsource: {{product: aws}}\ndetection:\n    a1: {{a: 1}}\n    a2: {{b: 1}}\n    x: {{x: 1}}\n    \
             _y: {{y: 1}}\n    condition: {condition}\n"
        );
        let rules = Arc::new(rules(&text));
        let event = event(Source::CloudTrail, record, &[(FieldId::UserName, "u")]);
        let found = !detect(&rules, &mut Detector::new(rules.clone()), &event).is_empty();
        assert_eq!(found, want, "{condition} on {record}");
    };
    // `not` binds tighter than `and`, and that than `or`.
    check("a1 or a2 and x", r#"{"a":1}"#, true);
    check("(a1 or a2) and x", r#"{"a":1}"#, false);
    check("not a1 and a2", r#"{"b":1}"#, true);
    check("not (a1 and a2)", r#"{"b":1}"#, true);
    check("not a1 or a2", r#"{"a":1}"#, false);
    check("a1 and (a2 or (x and not _y))", r#"{"a":1,"x":1}"#, true);
    check("a1 and (a2 or (x and not _y))", r#"{"a":1,"x":1,"y":1}"#, false);
    check("1 of a*", r#"{"b":1}"#, true);
    check("any of a*", r#"{"b":1}"#, true);
    check("all of a*", r#"{"b":1}"#, false);
    check("all of a*", r#"{"a":1,"b":1}"#, true);
    // The wildcard may stand anywhere, and more than once.
    check("1 of *2", r#"{"b":1}"#, true);
    check("1 of *2", r#"{"a":1}"#, false);
    check("all of *a*", r#"{"a":1,"b":1}"#, true);
    check("1 of _*", r#"{"y":1}"#, true);
    check("not 1 of a* and x", r#"{"x":1}"#, true);
    check("1 of them", r#"{"x":1}"#, true);
    // What begins with an underscore is no part of `them`.
    check("1 of them", r#"{"y":1}"#, false);
    check("all of them", r#"{"a":1,"b":1,"x":1}"#, true);
    check("1 of a* and not 1 of x*", r#"{"a":1,"x":1}"#, false);
    check("a1 AND NOT x", r#"{"a":1}"#, true);
    check("[a1 and a2, x]", r#"{"x":1}"#, true);
}

// Filters 2.1.

#[test]
fn filters_narrow_the_rules_they_name() {
    let base = "title: t\nid: r\nname: narrowed\nlogsource: {product: aws, service: cloudtrail}\n\
                detection: { s: { kind: x }, condition: s }\n---\n\
                title: u\nid: other\nlogsource: {product: aws, service: cloudtrail}\n\
                detection: { s: { kind: x }, condition: s }\n---\n";
    let check = |filter: &str, user: &str, want: &[&str]| {
        let rules = Arc::new(rules(&format!("{base}title: Known admins\n{filter}\n")));
        let event = event(Source::CloudTrail, r#"{"kind":"x"}"#, &[(FieldId::UserName, user)]);
        assert_eq!(
            detect(&rules, &mut Detector::new(rules.clone()), &event),
            want,
            "{filter} for {user}"
        );
    };
    let named =
        "logsource: {product: aws}\nfilter: { rules: [r], s: { user.name|startswith: adm_ }, condition: not s }";
    check(named, "adm_alice", &["other"]);
    check(named, "alice", &["r", "other"]);
    let by_name = "logsource: {product: aws}\nfilter: { rules: narrowed, s: { user.name: eve }, condition: not s }";
    check(by_name, "eve", &["other"]);
    let any = "logsource: {product: aws}\nfilter: { rules: any, s: { user.name: eve }, condition: not s }";
    check(any, "eve", &[]);
    check(any, "alice", &["r", "other"]);
    check(&any.replace("any", "all"), "eve", &[]);
    // Another logsource is none of its business.
    let elsewhere = "logsource: {product: linux}\nfilter: { rules: any, s: { user.name: eve }, condition: not s }";
    check(elsewhere, "eve", &["r", "other"]);
    // Without the `not` it keeps what it names.
    let inverted = "logsource: {product: aws}\nfilter: { rules: [r], s: { user.name: eve }, condition: s }";
    check(inverted, "eve", &["r", "other"]);
    check(inverted, "alice", &["other"]);
}
