//! Filters: which rules they narrow, what is said of those that do not, and what they make of a rule's version.

use std::sync::Arc;

use casebook_event::{FieldId, Source};

use super::{detect, event, rules};
use crate::detection::Detector;
use crate::diagnostic::Diagnostic;
use crate::load::{Loaded, RuleFile};
use crate::rule_set::RuleSet;

const BASE: &str = "title: t\nid: base-rule\nlogsource: {product: aws, service: cloudtrail}\nlevel: low\ntags: [attack.t1078]\n\
                    detection: { s: { eventSource: something }, condition: s }\ncasebook: { tests: [{ name: n, expect: 0, events: \
                    [{ source: cloudtrail, event: {} }] }] }\n";
const COUNT: &str = "title: c\nid: count\ncorrelation: { type: event_count, rules: [base-rule], group-by: [user.name], \
                     timespan: 1m, condition: { gte: 2 } }\nlevel: low\ntags: [attack.t1078]\ncasebook: { tests: [{ name: n, \
                     expect: 0, events: [{ source: cloudtrail, event: {} }] }] }\n";

fn load(files: &[(&str, &str)]) -> Loaded {
    RuleSet::load_partial(files.iter().map(|(path, text)| RuleFile {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    }))
}

fn shown(finding: &Diagnostic) -> String {
    format!("{}:{} {} {}", finding.file, finding.line, finding.code, finding.help)
}

#[test]
fn what_is_wrong_with_a_filter_is_said_where_it_stands() {
    let check = |filter: &str, want: &[&str]| {
        let filter = format!("title: f\nlogsource: {{product: aws}}\nfilter:\n{filter}");
        let loaded = load(&[("a.yml", &format!("{BASE}---\n{COUNT}")), ("b.yml", &filter)]);
        let found: Vec<String> = loaded.diagnostics.iter().map(shown).collect();
        let as_wanted =
            found.len() == want.len() && found.iter().zip(want).all(|(found, want)| found.starts_with(want));
        assert!(as_wanted, "{filter}\n{found:#?}");
    };
    let rest = "    s: { eventName: x }\n    condition: not s\n";
    check(&format!("    rules: [base-rule]\n{rest}"), &[]);
    // A misspelling would leave the rule as loud as it was.
    check(
        &format!("    rules:\n        - base-rule\n        - base-rul\n{rest}"),
        &["b.yml:6 unknown-rule did you mean `base-rule`?"],
    );
    check(
        &format!("    rules: [count, base-rule]\n{rest}"),
        &["b.yml:4 unused-filter"],
    );
    // What it asks is its own affair, not that of the rules that it narrows.
    check(
        "    rules: any\n    s: { eventNam: x }\n    condition: not s\n",
        &["b.yml:5 unknown-field did you mean `eventName`?"],
    );
    check(
        "    rules: any\n    s: { eventName: x }\n    z: { eventName: y }\n    condition: not s\n",
        &["b.yml:6 unused-selection"],
    );
    check(
        "    rules: any\n    s: { eventName: x }\n    condition: not s and s\n",
        &["b.yml:1 never-true"],
    );
    let elsewhere = format!("title: f\nlogsource: {{product: linux}}\nfilter:\n    rules: any\n{rest}");
    let loaded = load(&[("a.yml", BASE), ("b.yml", &elsewhere)]);
    let found: Vec<String> = loaded.diagnostics.iter().map(shown).collect();
    assert!(
        found.iter().any(|found| found.starts_with("b.yml:1 unused-filter")),
        "{found:?}"
    );
}

#[test]
fn a_filter_is_part_of_what_its_rules_mean_and_of_nothing_else() {
    let version = |files: &[(&str, &str)]| {
        let loaded = load(files);
        loaded.rules.unwrap().get("base-rule").unwrap().version.clone()
    };
    let filter = |rules: &str, user: &str| {
        format!(
            "title: f\nlogsource: {{product: aws}}\nfilter: {{ rules: {rules}, s: {{ user.name: {user} }}, condition: not s }}\n"
        )
    };
    let plain = version(&[("a.yml", BASE)]);
    let (alice, bob) = (filter("[base-rule]", "alice"), filter("any", "bob"));
    let one = version(&[("a.yml", BASE), ("b.yml", &alice)]);
    assert_ne!(one, plain);
    assert_ne!(one, version(&[("a.yml", BASE), ("b.yml", &bob)]));
    // Which others it narrows is nothing to this one; nor is the name of its file.
    assert_eq!(one, version(&[("a.yml", BASE), ("b.yml", &filter("any", "alice"))]));
    assert_eq!(
        version(&[("a.yml", BASE), ("b.yml", &alice), ("c.yml", &bob)]),
        version(&[("a.yml", BASE), ("b.yml", &bob), ("c.yml", &alice)])
    );
    // What its placeholders stand for is.
    let expands = "title: f\nlogsource: {product: aws}\nfilter: { rules: any, s: { user.name|expand: '%p%' }, condition: not s }\n";
    let with = |value: &str| {
        let mapping = format!("mapping: {{ placeholders: {{ p: [{value}] }} }}\n");
        version(&[("a.yml", BASE), ("b.yml", expands), ("c.yml", &mapping)])
    };
    assert_ne!(with("x"), with("y"));
}

#[test]
fn a_filter_is_explained_as_a_part_of_its_own() {
    let filter = "title: Known admins\nlogsource: {product: aws}\nfilter: { rules: any, s: { user.name: alice }, condition: not s }\n";
    let rules = rules(&format!("{BASE}---\n{filter}"));
    let event = event(
        Source::CloudTrail,
        r#"{"eventSource":"something"}"#,
        &[(FieldId::UserName, "alice")],
    );
    let explained = rules.explain("base-rule", &event).unwrap();
    let parts: Vec<(&str, bool)> = explained.parts.iter().map(|part| (&*part.text, part.holds)).collect();
    assert_eq!(
        parts,
        [
            ("logsource aws/*/cloudtrail", true),
            ("s", true),
            ("filter Known admins", false)
        ]
    );
}

#[test]
fn many_filters_are_refused_and_many_of_one_rule_take_no_stack() {
    let filter = |n: usize| {
        format!(
            "---\ntitle: f{n}\nlogsource: {{product: aws}}\nfilter: {{ rules: any, s: {{ user.name: u{n} }}, condition: not s }}\n"
        )
    };
    let text = |count: usize| BASE.to_owned() + &(0..count).map(filter).collect::<String>();
    let rules = Arc::new(rules(&text(1_000)));
    let mut detector = Detector::new(rules.clone());
    for (user, want) in [("u999", 0), ("u1000", 1)] {
        let event = event(
            Source::CloudTrail,
            r#"{"eventSource":"something"}"#,
            &[(FieldId::UserName, user)],
        );
        assert_eq!(detect(&rules, &mut detector, &event).len(), want, "{user}");
    }
    let loaded = load(&[("a.yml", &text(1_001))]);
    let found: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
    assert_eq!(found, ["too-many"]);
}
