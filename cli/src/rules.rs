//! Which rules a command works with: those that the user names, else the pack built into the binary.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use casebook_correlate::{Diagnostic, Loaded, RuleFile, RuleSet, Severity};
use include_dir::{Dir, include_dir};

use crate::exit_code::usage;
use crate::output::escape;

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
    let files = files(paths)?;
    let Loaded { rules, diagnostics } = if keep_going {
        RuleSet::load_partial(files)
    } else {
        RuleSet::load(files)
    };
    let errors = report_errors(&diagnostics);
    match rules {
        Some(rules) => {
            if errors > 0 {
                eprintln!(
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

/// Prints the errors among the diagnostics to stderr and counts them.
fn report_errors(diagnostics: &[Diagnostic]) -> usize {
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    errors
        .inspect(|d| {
            eprintln!(
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
