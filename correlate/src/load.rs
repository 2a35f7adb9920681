//! Here are the texts of rule files: which rules do they make, and what is wrong with them?

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::linker::link;
use crate::rule_set::RuleSet;
use crate::sigma::mapping::Mapping;
use crate::sigma::rule::{Document, read};
use crate::sigma::yaml;

/// A rule file, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path, for messages and for the order of rules.
    pub path: String,
    /// Its text: any number of YAML documents.
    pub text: String,
}

/// The outcome of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; `None` if there was any error, unless only the broken rules were to be left out.
    pub rules: Option<RuleSet>,
    /// What there is to say about the files, in the order of file, line and column.
    pub diagnostics: Vec<Diagnostic>,
}

impl RuleSet {
    /// Loads rule files. The order of the files does not matter: rules are ordered by path and line.
    ///
    /// Errors are in the diagnostics, and then there is no rule set: half a rule pack is worse than the old one.
    pub fn load(files: impl IntoIterator<Item = RuleFile>) -> Loaded {
        let mut loaded = Self::load_partial(files);
        if loaded
            .diagnostics
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            loaded.rules = None;
        }
        loaded
    }

    /// Loads rule files, and leaves out the rules that have errors and the correlations that name such rules; there is
    /// always a rule set.
    pub fn load_partial(files: impl IntoIterator<Item = RuleFile>) -> Loaded {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut findings = Vec::new();
        let mut documents: Vec<(&str, yaml::Node)> = Vec::new();
        for file in &files {
            let nodes = yaml::parse(&file.text, &mut Report::new(&file.path, &mut findings));
            documents.extend(nodes.into_iter().map(|node| (file.path.as_str(), node)));
        }
        // What names and placeholders mean, before anything is read that uses them.
        let mut mapping = Mapping::default();
        let (mappings, documents): (Vec<_>, Vec<_>) = documents
            .into_iter()
            .partition(|(_, node)| node.entry("mapping").is_some());
        for (path, node) in &mappings {
            let mut report = Report::new(path, &mut findings);
            node.entry("mapping")
                .into_iter()
                .for_each(|entry| mapping.read(node, entry, &mut report));
        }
        for (path, node) in &mappings {
            let mut report = Report::new(path, &mut findings);
            node.entry("mapping")
                .into_iter()
                .for_each(|entry| mapping.read_logsources(entry, &mut report));
        }
        let (mut rules, mut filters) = (Vec::new(), Vec::new());
        for (path, node) in &documents {
            match read(node, path, &mapping.placeholders, &mut Report::new(path, &mut findings)) {
                Some(Document::Rule(rule)) => rules.push(*rule),
                Some(Document::Filter(filter)) => filters.push(*filter),
                None => {}
            }
        }
        let set = link(rules, &filters, &mapping, &mut findings);
        findings.sort_by(|a, b| (&a.file, a.line, a.column, a.code).cmp(&(&b.file, b.line, b.column, b.code)));
        Loaded {
            rules: Some(set),
            diagnostics: findings,
        }
    }
}
