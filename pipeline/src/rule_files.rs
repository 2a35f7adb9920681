//! Rule files on disk.

use std::path::{Path, PathBuf};

use casebook_correlate::{Loaded, RuleFile, RuleSet};

use crate::error::PipelineError;

/// Deepest directory below a rule directory that is looked into.
const MAX_DEPTH: usize = 16;

/// Every `.yml` and `.yaml` file among and below `paths`, in order of path.
///
/// # Errors
/// A path cannot be read, or a directory holds no rule file.
pub fn read_rule_files(paths: &[PathBuf]) -> Result<Vec<RuleFile>, PipelineError> {
    rule_file_paths(paths)?
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).map_err(|source| PipelineError::File {
                path: path.display().to_string(),
                source,
            })?;
            Ok(RuleFile {
                path: path.display().to_string(),
                text,
            })
        })
        .collect()
}

/// The paths of those files.
pub(crate) fn rule_file_paths(paths: &[PathBuf]) -> Result<Vec<PathBuf>, PipelineError> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        if path.is_dir() {
            collect(path, 0, &mut found)?;
            if found.len() == before {
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no .yml or .yaml file in it or below");
                return Err(PipelineError::File {
                    path: path.display().to_string(),
                    source,
                });
            }
        } else {
            found.push(path.clone());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), PipelineError> {
    let failed = |source| PipelineError::File {
        path: directory.display().to_string(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH {
                collect(&path, depth + 1, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Reads and compiles the rules among and below `paths`.
///
/// # Errors
/// A path cannot be read. Errors inside the rules are diagnostics of the result.
pub fn load_rules(paths: &[PathBuf]) -> Result<Loaded, PipelineError> {
    Ok(RuleSet::load(read_rule_files(paths)?))
}
