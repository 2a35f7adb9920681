//! Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of a change.

use std::io::Write;

use anyhow::Result;
use casebook_correlate::{Diagnostic, LINTS, Severity};
use serde_json::{Value, json};

use super::escaping::escape_json;

/// Writes one run with all the findings.
pub fn write(diagnostics: &[Diagnostic], out: &mut impl Write) -> Result<()> {
    let rules: Vec<Value> = LINTS
        .iter()
        .map(|(code, severity, summary)| {
            json!({
                "id": code,
                "shortDescription": { "text": summary },
                "defaultConfiguration": { "level": level(*severity) },
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "casebook",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    writeln!(out, "{}", escape_json(&serde_json::to_string_pretty(&document)?))?;
    Ok(())
}

fn result(d: &Diagnostic) -> Value {
    let text = if d.help.is_empty() {
        d.message.clone()
    } else {
        format!("{}; {}", d.message, d.help)
    };
    json!({
        "ruleId": d.code,
        "ruleIndex": LINTS.iter().position(|(code, _, _)| *code == d.code),
        "level": level(d.severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&d.file) },
            "region": { "startLine": d.line, "startColumn": d.column },
        }}],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a relative URI (RFC 3986, 3.3): everything but what may stand in a path is written as `%XX`.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_its_rule_and_its_place() {
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            code: "missing-id",
            file: "my rules/ä.yml".into(),
            line: 3,
            column: 5,
            message: "it has none".into(),
            help: "add one".into(),
        };
        let mut out = Vec::new();
        write(&[diagnostic], &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        let run = &document["runs"][0];
        let result = &run["results"][0];
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], "missing-id");
        assert_eq!(result["level"], "warning");
        assert_eq!(result["message"]["text"], "it has none; add one");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20rules/%C3%A4.yml");
        assert_eq!(place["region"]["startLine"], 3);
    }
}
