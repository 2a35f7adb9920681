//! The public SigmaHQ rules, where they are at hand: each parses, or is refused with a place and a reason.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what it skips, and fails loudly"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use casebook_correlate::{RuleFile, RuleSet, Severity};

/// `../shared/data/sigma`, beside the workspace; `None` where it is absent.
fn sigma() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/sigma");
    if !path.is_dir() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn read(directory: &Path, files: &mut Vec<RuleFile>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|e| e == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(RuleFile {
                path: path.display().to_string(),
                text,
            });
        }
    }
}

#[test]
fn every_rule_parses_or_says_why_not() {
    let Some(sigma) = sigma() else { return };
    let mut files = Vec::new();
    for directory in ["rules", "rules-emerging-threats", "rules-threat-hunting"] {
        read(&sigma.join(directory), &mut files);
    }
    let total = files.len();
    let loaded = RuleSet::load_partial(files);
    let (rules, findings) = (loaded.rules.unwrap(), loaded.diagnostics);
    let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    for finding in &findings {
        *counts.entry((finding.severity, finding.code)).or_default() += 1;
        if finding.severity == Severity::Error {
            println!("{finding}");
        }
    }
    println!("{total} files, {} rules, findings: {counts:?}", rules.len());
    let routed = rules.rules().filter(|rule| !rule.sources.is_empty()).count();
    println!("{routed} rules have a source");
    assert!(rules.len() * 100 >= total * 99, "{} of {total}", rules.len());
    assert!(
        findings
            .iter()
            .all(|f| f.line >= 1 && f.column >= 1 && !f.message.is_empty())
    );
    assert!(!counts.contains_key(&(Severity::Error, "yaml-syntax")));
}

#[test]
fn the_specification_s_own_examples_are_read() {
    let Some(sigma) = sigma() else { return };
    let mut files = Vec::new();
    read(&sigma.join("specification/tests/schema"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        // Each stands alone, so its references lead nowhere.
        let path = file.path.clone();
        for finding in RuleSet::load(Some(file)).diagnostics {
            let expected = ["unsupported", "unknown-rule"].contains(&finding.code);
            assert!(finding.severity == Severity::Warning || expected, "{path}: {finding}");
        }
    }
}
