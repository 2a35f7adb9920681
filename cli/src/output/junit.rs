//! Outcomes of rule tests as JUnit XML, which every CI system reads.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use casebook_pipeline::TestOutcome;

use super::escaping::is_dangerous;

/// Writes a suite for each rule file; `why` is the text of a failure.
pub fn write(outcomes: &[TestOutcome], why: &dyn Fn(&TestOutcome) -> String, out: &mut impl Write) -> Result<()> {
    let mut suites: BTreeMap<&str, Vec<&TestOutcome>> = BTreeMap::new();
    for outcome in outcomes {
        suites.entry(&outcome.file).or_default().push(outcome);
    }
    let failures = |outcomes: &[&TestOutcome]| outcomes.iter().filter(|o| o.failure.is_some()).count();
    let all: Vec<&TestOutcome> = outcomes.iter().collect();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="casebook rule test" tests="{}" failures="{}">"#,
        all.len(),
        failures(&all)
    )?;
    for (file, outcomes) in suites {
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}">"#,
            text(file),
            outcomes.len(),
            failures(&outcomes)
        )?;
        for outcome in outcomes {
            write!(
                out,
                r#"    <testcase classname="{}" name="{}""#,
                text(&outcome.rule_title),
                text(&outcome.name)
            )?;
            match &outcome.failure {
                None => writeln!(out, "/>")?,
                Some(failure) => {
                    writeln!(out, ">")?;
                    let (message, why) = (text(&failure.message), text(&why(outcome)));
                    writeln!(out, r#"      <failure message="{message}">{why}</failure>"#)?;
                    writeln!(out, "    </testcase>")?;
                }
            }
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")?;
    Ok(())
}

/// Text as XML 1.0 takes it: what it has no way to write (section 2.2) becomes U+FFFD.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push(c),
            '\t' => escaped.push_str("&#9;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            // A reference means the same to a reader of XML, and nothing to a terminal.
            c if is_dangerous(c) => escaped.push_str(&format!("&#x{:x};", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use casebook_pipeline::TestFailure;

    #[test]
    fn a_failure_is_reported_with_its_reason() {
        let outcome = |name: &str, failure: Option<TestFailure>| TestOutcome {
            file: "rules/a.yml".into(),
            rule_id: "1".into(),
            rule_title: "A & B".into(),
            name: name.into(),
            failure,
        };
        let failure = TestFailure {
            message: "expected 1, found 0 \"alerts\"".into(),
            events: Vec::new(),
        };
        let outcomes = [outcome("fires", Some(failure)), outcome("does not", None)];
        let mut out = Vec::new();
        write(&outcomes, &|_| "- x\u{1b}\u{202e}\n<y>".into(), &mut out).unwrap();
        let xml = String::from_utf8(out).unwrap();
        assert!(xml.contains(r#"tests="2" failures="1""#), "{xml}");
        assert!(
            xml.contains(
                "<failure message=\"expected 1, found 0 &quot;alerts&quot;\">- x\u{fffd}&#x202e;\n&lt;y&gt;</failure>"
            ),
            "{xml}"
        );
        assert!(
            xml.contains(r#"<testcase classname="A &amp; B" name="does not"/>"#),
            "{xml}"
        );
    }
}
