//! Which rules a command works with: those that the user names, else the pack built into the binary.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{Diagnostic, Loaded, RuleFile, RuleInfo, RuleSet, Severity};
use include_dir::{Dir, include_dir};

use crate::exit_code::usage;
use crate::output::{escape, notice};

static PACK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../rules");

/// The rule files that `paths` name, or the built-in ones.
pub fn files(paths: &[PathBuf]) -> Result<Vec<RuleFile>> {
    if !paths.is_empty() {
        return Ok(casebook_pipeline::read_rule_files(paths)?);
    }
    let mut files = Vec::new();
    collect(&PACK, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(directory: &Dir<'_>, files: &mut Vec<RuleFile>) {
    for file in directory.files() {
        let yaml = file
            .path()
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if let (true, Some(text)) = (yaml, file.contents_utf8()) {
            files.push(RuleFile {
                path: format!("rules/{}", file.path().display()),
                text: text.to_owned(),
            });
        }
    }
    for inner in directory.dirs() {
        collect(inner, files);
    }
}

/// Loads rules for running. Errors are printed and refuse the whole set, unless `keep_going` drops the broken ones.
pub fn load(paths: &[PathBuf], keep_going: bool) -> Result<Arc<RuleSet>> {
    load_files(files(paths)?, keep_going)
}

fn load_files(files: Vec<RuleFile>, keep_going: bool) -> Result<Arc<RuleSet>> {
    let Loaded { rules, diagnostics } = if keep_going {
        RuleSet::load_partial(files)
    } else {
        RuleSet::load(files)
    };
    let errors = report_errors(&diagnostics);
    match rules {
        Some(rules) => {
            if errors > 0 {
                notice!(
                    "casebook: {errors} errors in the rules; going on with {} rules",
                    rules.rules().count()
                );
            }
            Ok(Arc::new(rules))
        }
        None => Err(usage(format!(
            "the rules have {errors} errors; `casebook rule lint` shows them with the warnings"
        ))),
    }
}

/// The rules that `asked` names, and a set that holds them: files of rules, and ids, names or titles of rules among those
/// at `paths`. Files alone are a set of their own, unless `paths` says where the rules are that they refer to.
pub fn asked(asked: &[String], paths: &[PathBuf]) -> Result<(Arc<RuleSet>, Vec<RuleInfo>)> {
    let (own, names): (Vec<PathBuf>, Vec<PathBuf>) = asked.iter().map(PathBuf::from).partition(|path| path.is_file());
    let mut all = Vec::new();
    if !own.is_empty() {
        all.extend(casebook_pipeline::read_rule_files(&own)?);
    }
    if !names.is_empty() || !paths.is_empty() {
        let is_own = |file: &RuleFile| own.iter().any(|own| is_same(own, Path::new(&file.path)));
        all.extend(files(paths)?.into_iter().filter(|file| !is_own(file)));
    }
    let set = load_files(all, true)?;
    let answers_to = |rule: &RuleInfo, name: &str| {
        *rule.id == *name || rule.name.as_deref() == Some(name) || rule.title.eq_ignore_ascii_case(name)
    };
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| !set.rules().any(|rule| answers_to(rule, name)))
    {
        return Err(usage(format!(
            "no rule has the id, name or title `{}`, and there is no such file; `casebook rule list` shows what there is",
            escape(unknown)
        )));
    }
    let is_asked = |rule: &&RuleInfo| {
        own.iter().any(|own| own.as_os_str() == rule.file.as_str()) || names.iter().any(|name| answers_to(rule, name))
    };
    let asked = set.rules().filter(is_asked).cloned().collect();
    Ok((set, asked))
}

fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Prints the errors among the diagnostics to stderr and counts them.
fn report_errors(diagnostics: &[Diagnostic]) -> usize {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors
        .inspect(|d| {
            notice!(
                "{}:{}:{}: error[{}]: {}",
                escape(&d.file),
                d.line,
                d.column,
                d.code,
                escape(&d.message)
            )
        })
        .count()
}
