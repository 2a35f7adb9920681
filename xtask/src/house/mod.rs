//! The house rules, each a check over plain data, so that every rule is itself tested by input that breaks it.
//!
//! ```text
//! folder ── tree ──▶ SourceFile, Manifest ──▶ layers, versions, length, unfinished, rule_ids, notes, trust,
//!                                   │         references ─────────────────────────────────────────────────▶ Problem
//!                                   └───────▶ cycles, clocks, functions, words ──▶ Finding ── ratchet ──────▶ Problem
//! ```

mod clocks;
mod cycles;
mod functions;
mod layers;
mod length;
mod manifest;
mod notes;
mod problem;
mod ratchet;
mod references;
mod rule_ids;
mod rust_text;
mod source;
mod tree;
mod trust;
mod unfinished;
mod versions;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use manifest::{Manifest, RootManifest};
use problem::Problem;
use ratchet::{Finding, Ratchet, Rewrite};
use references::Repository;
use source::SourceFile;
use words::Words;

/// Where the reason for each third-party crate is written.
const NOTES: &str = "docs/adr/dependencies.md";

/// Who can write what, and the tests that show what is made of it.
const TRUST: &str = "docs/trust.md";

/// Where the lists lie of what is left from before a rule.
const RATCHETS: &str = "xtask/ratchets";

/// What the rules are about.
struct House {
    manifest: RootManifest,
    members: Vec<Manifest>,
    /// The Rust files of the members.
    sources: Vec<SourceFile>,
    /// Files and folders.
    paths: BTreeSet<String>,
    /// All that people read.
    texts: Vec<SourceFile>,
}

impl House {
    fn read(root: &Path) -> Result<Self> {
        let manifest = RootManifest::parse(&tree::read(root, "Cargo.toml")?)?;
        let mut members = Vec::new();
        for member in &manifest.members {
            let path = format!("{member}/Cargo.toml");
            members.push(Manifest::parse(&path, &tree::read(root, &path)?)?);
        }
        let paths = tree::paths(root)?;
        Ok(Self {
            sources: tree::sources(root, &manifest.members)?,
            texts: tree::texts(root, &paths)?,
            manifest,
            members,
            paths,
        })
    }

    /// What the rules with a ratchet find, by the name of its list.
    fn findings(&self) -> Result<Vec<(&'static str, Vec<Finding>)>> {
        let words = Words::new()?;
        let functions = functions::check(&self.sources);
        Ok(vec![
            ("cycles", cycles::check(&self.manifest.members, &self.sources)),
            ("clocks", self.sources.iter().flat_map(clocks::check).collect()),
            ("functions", functions.product),
            ("test_functions", functions.tests),
            ("words", self.texts.iter().flat_map(|file| words.check(file)).collect()),
        ])
    }
}

/// Every breach of the rules in the workspace at `root`, in the order of the files.
pub fn check(root: &Path) -> Result<Vec<Problem>> {
    let house = House::read(root)?;
    let (sources, manifest) = (&house.sources, &house.manifest);
    let rules = tree::rules(root)?;
    let notes = tree::read_if_there(root, NOTES)?;

    let mut problems = Vec::new();
    for member in &house.members {
        problems.extend(layers::check(member, manifest));
        problems.extend(versions::check(member));
    }
    problems.extend(length::check(sources, length::RATCHET));
    problems.extend(sources.iter().flat_map(unfinished::check));
    problems.extend(rule_ids::check(&rules));
    problems.extend(notes::check(manifest, NOTES, notes.as_deref()));
    let trust = tree::read_if_there(root, TRUST)?;
    problems.extend(trust::check(sources, TRUST, trust.as_deref()));
    let repository = Repository::new(&house.paths, &house.texts)?;
    problems.extend(house.texts.iter().flat_map(|file| repository.check(file)));
    for (rule, findings) in house.findings()? {
        problems.extend(list(root, rule)?.compare(&findings));
    }
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// Writes the lists of what is left anew, each unless it would grow. Returns for each what there is to say, and whether it
/// is written.
pub fn write_ratchets(root: &Path) -> Result<Vec<(String, bool)>> {
    let mut lists = Vec::new();
    for (rule, findings) in House::read(root)?.findings()? {
        lists.push(Rewrite::new(rule, &list(root, rule)?, &findings));
    }
    let mut said = Vec::new();
    for list in &lists {
        let Rewrite { rule, before, now, .. } = list;
        let is_written = !list.grows(&lists);
        if is_written {
            tree::write(root, &list_path(rule), &list.text)?;
        }
        let refused = if is_written { "" } else { ": grew, and is not written" };
        said.push((format!("{rule}: {now}, {before} before{refused}"), is_written));
    }
    Ok(said)
}

fn list(root: &Path, rule: &str) -> Result<Ratchet> {
    let path = list_path(rule);
    let text = tree::read(root, &path)?;
    Ratchet::parse(&path, &text)
}

fn list_path(rule: &str) -> String {
    format!("{RATCHETS}/{rule}.txt")
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
