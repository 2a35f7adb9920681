//! The rule pack of this repository loads without an error.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::path::Path;

use casebook_correlate::{RuleFile, RuleSet, Severity};

fn read(directory: &Path, files: &mut Vec<RuleFile>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read(&path, files);
        } else if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            files.push(RuleFile {
                path: path.display().to_string(),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

#[test]
fn the_pack_has_no_errors_and_every_rule_a_source() {
    let mut files = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules"), &mut files);
    let loaded = RuleSet::load(files);
    for finding in &loaded.diagnostics {
        println!("{finding}");
    }
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    );
    let rules = loaded.rules.unwrap();
    assert!(rules.rules().all(|rule| !rule.sources.is_empty()));
}
