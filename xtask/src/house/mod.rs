//! The house rules, each a check over plain data, so that every rule is itself tested by input that breaks it.
//!
//! ```text
//! folder ── tree ──▶ SourceFile, Manifest ──▶ layers, versions, length, unfinished, rule_ids, notes, trust ──▶ Problem
//! ```

mod layers;
mod length;
mod manifest;
mod notes;
mod problem;
mod rule_ids;
mod source;
mod tree;
mod trust;
mod unfinished;
mod versions;

use std::path::Path;

use anyhow::Result;

use manifest::{Manifest, RootManifest};
use problem::Problem;

/// Where the reason for each third-party crate is written.
const NOTES: &str = "docs/adr/dependencies.md";

/// Who can write what, and the tests that show what is made of it.
const TRUST: &str = "docs/trust.md";

/// Every breach of the rules in the workspace at `root`, in the order of the files.
pub fn check(root: &Path) -> Result<Vec<Problem>> {
    let root_manifest = RootManifest::parse(&tree::read(root, "Cargo.toml")?)?;
    let mut members = Vec::new();
    for member in &root_manifest.members {
        let path = format!("{member}/Cargo.toml");
        members.push(Manifest::parse(&path, &tree::read(root, &path)?)?);
    }
    let sources = tree::sources(root, &root_manifest.members)?;
    let rules = tree::rules(root)?;
    let notes = tree::read_if_there(root, NOTES)?;

    let mut problems = Vec::new();
    for member in &members {
        problems.extend(layers::check(member, &root_manifest));
        problems.extend(versions::check(member));
    }
    problems.extend(length::check(&sources, length::RATCHET));
    problems.extend(sources.iter().flat_map(unfinished::check));
    problems.extend(rule_ids::check(&rules));
    problems.extend(notes::check(&root_manifest, NOTES, notes.as_deref()));
    let trust = tree::read_if_there(root, TRUST)?;
    problems.extend(trust::check(&sources, TRUST, trust.as_deref()));
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_keeps_the_rules() {
        let problems = check(&crate::root()).unwrap();
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
