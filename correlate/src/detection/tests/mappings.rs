//! Names that are mapped: by documents among the rules, and by what is built in for published rules.

use std::sync::Arc;

use casebook_event::{FieldId, Source};

use super::{detect, event, rules};
use crate::detection::Detector;
use crate::load::RuleFile;
use crate::rule_set::RuleSet;

/// Whether a rule with that logsource and selection matches, under a mapping document.
fn check(mapping: &str, logsource: &str, selection: &str, source: Source, record: &str, want: bool) {
    let text = format!(
        "{mapping}\n---\ntitle: t\nid: r\nlogsource: {logsource}\ndetection: {{ s: {selection}, condition: s }}\n"
    );
    let rules = Arc::new(rules(&text));
    let event = event(source, record, &[(FieldId::UserName, "alice")]);
    let found = !detect(&rules, &mut Detector::new(rules.clone()), &event).is_empty();
    assert_eq!(found, want, "{mapping}: {selection} on {record}");
}

#[test]
fn a_field_may_be_called_otherwise_and_be_in_several_places() {
    let mapping = "mapping: { fields: { Account: user.name, Tool: [process.tool, agent.tool] } }";
    let check = |selection: &str, record: &str, want: bool| {
        check(mapping, "{product: aws}", selection, Source::CloudTrail, record, want);
    };
    check("{Account: alice}", "{}", true);
    check("{Account: bob}", "{}", false);
    check("{Tool: nmap}", r#"{"agent":{"tool":"nmap"}}"#, true);
    check(
        "{Tool: nmap}",
        r#"{"process":{"tool":"nmap"},"agent":{"tool":"ls"}}"#,
        true,
    );
    check(
        "{Tool|contains|all: [n, p]}",
        r#"{"process":{"tool":"n"},"agent":{"tool":"p"}}"#,
        true,
    );
    check(
        "{Tool|neq: nmap}",
        r#"{"process":{"tool":"ls"},"agent":{"tool":"nmap"}}"#,
        false,
    );
    check("{Tool|neq: [nmap, nc]}", r#"{"process":{"tool":"ls"}}"#, true);
    check("{Tool: null}", r#"{"process":{"tool":"ls"}}"#, false);
    check("{Tool: null}", "{}", true);
    check("{Tool|exists: false}", r#"{"agent":{"tool":"ls"}}"#, false);
    check("{Tool|exists: true}", r#"{"agent":{"tool":"ls"}}"#, true);
}

#[test]
fn a_logsource_that_no_source_has_may_be_given_one() {
    let mapping = "mapping: { logsources: [{ product: okta, source: application, where: { app: okta } }] }";
    let check = |logsource: &str, source: Source, record: &str, want: bool| {
        check(mapping, logsource, "{act: login}", source, record, want);
    };
    let record = r#"{"app":"okta","act":"login"}"#;
    check("{product: okta}", Source::Application, record, true);
    check("{product: okta, service: okta}", Source::Application, record, true);
    check("{product: okta}", Source::Application, r#"{"act":"login"}"#, false);
    check("{product: okta}", Source::CloudTrail, record, false);
    check("{product: onelogin}", Source::Application, record, false);
}

#[test]
fn a_logsource_that_is_mapped_is_linted_and_explained_as_what_it_is() {
    let text = "mapping: { logsources: [{ product: okta, source: application, where: { app: okta } }] }\n---\n\
                title: t\nid: r\nlogsource: { product: okta }\ndetection: { s: { act: login }, condition: s }\n";
    let file = RuleFile {
        path: "f".into(),
        text: text.to_owned(),
    };
    let loaded = RuleSet::load([file]);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
    assert!(!codes.contains(&"unknown-field"), "{codes:?}");
    let event = event(Source::Application, r#"{"app":"other","act":"login"}"#, &[]);
    let explained = loaded.rules.unwrap().explain("r", &event).unwrap();
    let parts: Vec<(&str, bool)> = explained.parts.iter().map(|part| (&*part.text, part.holds)).collect();
    assert_eq!(
        parts,
        [
            ("logsource okta/*/*", true),
            ("where of its mapping", false),
            ("s", true)
        ]
    );
}

#[test]
fn published_kubernetes_rules_find_what_they_mean() {
    let audit = "{product: kubernetes, service: audit}";
    let check = |selection: &str, record: &str, want: bool| {
        check("mapping: {}", audit, selection, Source::KubernetesAudit, record, want);
    };
    let pod = r#"{"verb":"create","objectRef":{"resource":"pods","apiGroup":"x"},"requestObject":{"spec":{
        "volumes":[{"name":"v","emptyDir":{}},{"name":"h","hostPath":{"path":"/"}}],
        "containers":[{"securityContext":{"capabilities":{"drop":["ALL"]}}}],
        "initContainers":[{"securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}]}}}"#;
    check("{verb: create, hostPath: '*'}", pod, true);
    check("{capabilities: '*'}", pod, true);
    check("{apiGroup: x}", pod, true);
    // What makes pods has their spec in a template.
    let job = r#"{"requestObject":{"spec":{"jobTemplate":{"spec":{"template":{"spec":{
        "volumes":[{"hostPath":{"path":"/"}}],"containers":[{"securityContext":{"capabilities":{"add":["X"]}}}]}}}}}}}"#;
    check("{hostPath: '*'}", job, true);
    check("{capabilities: '*'}", job, true);
    let plain = r#"{"verb":"create","requestObject":{"spec":{"volumes":[{"name":"v","emptyDir":{}}]}}}"#;
    check("{hostPath: '*'}", plain, false);
    check("{capabilities: '*'}", plain, false);
    // An exec over a WebSocket is a get.
    let exec = |verb: &str, sub: &str| format!(r#"{{"verb":"{verb}","objectRef":{{"subresource":"{sub}"}}}}"#);
    let selection = "{verb: create, objectRef.subresource: exec}";
    check(selection, &exec("create", "exec"), true);
    check(selection, &exec("get", "exec"), true);
    check(selection, &exec("delete", "exec"), false);
    check(
        "{verb: create, objectRef.subresource: [exec, attach]}",
        &exec("get", "attach"),
        true,
    );
    check(
        "{verb: create, objectRef.subresource: status}",
        &exec("get", "status"),
        false,
    );
    check("{verb: create}", &exec("get", "exec"), false);
    check(
        "{verb|neq: create, objectRef.subresource: exec}",
        &exec("get", "exec"),
        true,
    );
}

#[test]
fn what_a_mapping_says_is_part_of_what_a_rule_means() {
    let version = |mapping: &str, selection: &str| {
        let text = format!(
            "{mapping}\n---\ntitle: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{ s: {selection}, condition: s }}\n"
        );
        rules(&text).get("r").unwrap().version.clone()
    };
    let (one, two) = ("mapping: { fields: { A: b } }", "mapping: { fields: { A: c } }");
    assert_ne!(version(one, "{A: x}"), version(two, "{A: x}"));
    assert_eq!(
        version(one, "{Z: x}"),
        version(two, "{Z: x}"),
        "a rule that is not touched stays the same"
    );
    let (one, two) = (
        "mapping: { placeholders: { p: [a] } }",
        "mapping: { placeholders: { p: [b] } }",
    );
    assert_ne!(version(one, "{z|expand: '%p%'}"), version(two, "{z|expand: '%p%'}"));
}

#[test]
fn a_name_may_mean_something_else_in_each_logsource() {
    let mapping = "mapping: { fields: { Who: user.name } }\n---\nmapping: { logsource: { product: aws }, fields: { Who: \
                   userIdentity.userName } }\n---\nmapping: { logsource: { product: linux }, fields: { Who: other } }";
    let check = |selection: &str, record: &str, want: bool| {
        check(mapping, "{product: aws}", selection, Source::CloudTrail, record, want);
    };
    // What several documents say of a name is taken together, where it applies.
    check("{Who: alice}", "{}", true);
    check("{Who: root}", r#"{"userIdentity":{"userName":"root"}}"#, true);
    check("{Who: root}", r#"{"other":"root"}"#, false);
}

#[test]
fn references_and_groups_know_the_names_that_are_mapped() {
    let mapping = "mapping: { fields: { Account: user.name, Tool: [process.tool, agent.tool] } }";
    let refers = |selection: &str, record: &str, want: bool| {
        check(mapping, "{product: aws}", selection, Source::CloudTrail, record, want);
    };
    refers("{n|fieldref: Account}", r#"{"n":"alice"}"#, true);
    refers("{n|fieldref: Tool}", r#"{"n":"ls","agent":{"tool":"ls"}}"#, true);
    refers("{n|fieldref|neq: Tool}", r#"{"n":"ls","agent":{"tool":"ls"}}"#, false);
    let text = |mapping: &str| {
        format!(
            "{mapping}\n---\ntitle: t\nid: r\nlogsource: {{product: aws}}\ndetection: {{ s: {{ n: 1 }}, condition: s }}\n---\n\
             title: c\nid: c\ncorrelation: {{ type: value_count, rules: [r], group-by: [Account, tool], aliases: {{ tool: {{ r: \
             Tool }} }}, timespan: 1m, condition: {{ field: Account, gte: 2 }} }}\n"
        )
    };
    let rules = Arc::new(rules(&text(mapping)));
    let groups = |record: &str| {
        let mut signals = Vec::new();
        let event = event(Source::CloudTrail, record, &[(FieldId::UserName, "alice")]);
        Detector::new(rules.clone()).detect(&event, &mut signals);
        let groups = signals
            .iter()
            .map(|signal| (signal.group.join(" ").trim_end().to_owned(), signal.value.clone()));
        groups.collect::<Vec<_>>()
    };
    assert_eq!(
        groups(r#"{"n":1,"agent":{"tool":"ls"}}"#),
        [("alice ls".to_owned(), Some("alice".into()))]
    );
    // Of several, the first that the event has.
    let both = groups(r#"{"n":1,"process":{"tool":"nc"},"agent":{"tool":"ls"}}"#);
    assert_eq!(both[0].0, "alice nc");
    assert_eq!(groups(r#"{"n":1}"#), []);
    // Another group is another correlation.
    let version = |mapping: &str| super::rules(&text(mapping)).get("c").unwrap().version.clone();
    assert_ne!(version(mapping), version(&mapping.replace("user.name", "user.id")));
}

#[test]
fn the_condition_of_a_logsource_may_have_placeholders() {
    let mapping = "mapping: { logsources: [{ product: okta, source: application, where: { app|expand: '%apps%' } }] }\n---\n\
                   mapping: { placeholders: { apps: [okta, okta-preview] } }";
    let check = |record: &str, want: bool| {
        check(
            mapping,
            "{product: okta}",
            "{act: login}",
            Source::Application,
            record,
            want,
        );
    };
    check(r#"{"app":"okta-preview","act":"login"}"#, true);
    check(r#"{"app":"other","act":"login"}"#, false);
}

#[test]
fn what_is_wrong_with_a_mapping_is_said_where_it_stands() {
    let check = |mapping: &str, want: &[&str]| {
        let file = RuleFile {
            path: "f".into(),
            text: mapping.to_owned(),
        };
        let findings = RuleSet::load_partial([file]).diagnostics;
        let found: Vec<String> = findings
            .iter()
            .map(|f| format!("{}:{} {}", f.line, f.column, f.code))
            .collect();
        assert_eq!(found, want, "{mapping}");
    };
    check("mapping: {}", &[]);
    check("mapping: [a]", &["1:10 bad-shape"]);
    check("mapping:\n    field: { A: b }", &["2:5 unknown-key"]);
    check("mapping: {}\nlevel: low", &["2:1 unknown-key"]);
    check(
        "mapping: {}\ndetection: { s: { a: b }, condition: s }",
        &["2:1 not-a-rule"],
    );
    check("mapping: { placeholders: { p: [] } }", &["1:31 bad-shape"]);
    check("mapping: { fields: { A: { b: c } } }", &["1:25 bad-shape"]);
    check(
        "mapping: { logsource: { produkt: aws }, fields: { A: b } }",
        &["1:12 missing-key", "1:25 unknown-key"],
    );
    let names = |count: usize| (0..count).map(|n| format!("f{n}")).collect::<Vec<_>>().join(", ");
    check(&format!("mapping: {{ fields: {{ A: [{}] }} }}", names(16)), &[]);
    check(
        &format!("mapping: {{ fields: {{ A: [{}] }} }}", names(17)),
        &["1:12 too-many"],
    );
    check(
        "mapping: { logsources: [{ product: okta, source: oktaa }] }",
        &["1:25 bad-value"],
    );
    check("mapping: { logsources: [{ product: okta }] }", &["1:25 missing-key"]);
    check(
        "mapping: { logsources: [{ source: application }] }",
        &["1:25 missing-key"],
    );
    check(
        "mapping: { logsources: [{ product: okta, source: application, where: { a|expand: '%p%' } }] }",
        &["1:82 unknown-placeholder"],
    );
}
