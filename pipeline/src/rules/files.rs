//! Rule files on disk.

use std::collections::HashSet;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use casebook_correlate::limits::MAX_RULE_FILE_BYTES;
use casebook_correlate::{Loaded, RuleFile, RuleSet};
use casebook_ingest::read_text_file;

use crate::error::PipelineError;

/// Deepest directory below a rule directory. A deeper one is an error: rules in it would be missing.
const MAX_DEPTH: usize = 16;
/// Most files and directories in and below rule directories.
const MAX_ENTRIES: usize = 200_000;
/// Most bytes of rule files that are read together.
const MAX_TOTAL_BYTES: usize = 256 << 20;

/// Every `.yml` and `.yaml` file among and below `paths`, in order of path.
///
/// # Errors
/// A path cannot be read, or a directory holds no rule file.
pub fn read_rule_files(paths: &[PathBuf]) -> Result<Vec<RuleFile>, PipelineError> {
    let mut total = 0;
    let mut files = Vec::new();
    for path in rule_file_paths(paths)? {
        let text = read_text_file(&path, MAX_RULE_FILE_BYTES).map_err(|source| failed(&path, source))?;
        total += text.len();
        if total > MAX_TOTAL_BYTES {
            let message = format!("with it, the rules have more than {MAX_TOTAL_BYTES} bytes");
            return Err(failed(&path, Error::other(message)));
        }
        files.push(RuleFile {
            path: path.display().to_string(),
            text,
        });
    }
    Ok(files)
}

/// The paths of those files.
pub(crate) fn rule_file_paths(paths: &[PathBuf]) -> Result<Vec<PathBuf>, PipelineError> {
    let mut walk = Walk::default();
    for path in paths {
        let before = walk.found.len();
        if path.is_dir() {
            // Named twice, it is looked into twice: what is found twice is one file.
            walk.directories.clear();
            walk.look_into(path, 0)?;
            if walk.found.len() == before {
                let source = Error::new(ErrorKind::NotFound, "no .yml or .yaml file in it or below");
                return Err(failed(path, source));
            }
        } else {
            walk.found.push(path.clone());
        }
    }
    walk.found.sort();
    walk.found.dedup();
    Ok(walk.found)
}

fn failed(path: &Path, source: Error) -> PipelineError {
    PipelineError::File {
        path: path.display().to_string(),
        source,
    }
}

/// A walk through directories of rules.
#[derive(Default)]
struct Walk {
    found: Vec<PathBuf>,
    /// Where it was already, links resolved: links that lead in a circle are followed once.
    directories: HashSet<PathBuf>,
    entries: usize,
}

impl Walk {
    fn look_into(&mut self, directory: &Path, depth: usize) -> Result<(), PipelineError> {
        let failed = |source| failed(directory, source);
        if !self.directories.insert(directory.canonicalize().map_err(failed)?) {
            return Ok(());
        }
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                let message = format!("more than {MAX_ENTRIES} files and directories in it and below");
                return Err(failed(Error::other(message)));
            }
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                if depth >= MAX_DEPTH {
                    let message = format!("directories are nested more than {MAX_DEPTH} deep");
                    return Err(failed(Error::other(message)));
                }
                self.look_into(&path, depth + 1)?;
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yml" || extension == "yaml")
            {
                self.found.push(path);
            }
        }
        Ok(())
    }
}

/// Reads and compiles the rules among and below `paths`.
///
/// # Errors
/// A path cannot be read. Errors inside the rules are diagnostics of the result.
pub fn load_rules(paths: &[PathBuf]) -> Result<Loaded, PipelineError> {
    Ok(RuleSet::load(read_rule_files(paths)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: A\nlogsource: { product: aws }\ndetection: { a: { eventName: x }, condition: a }\n";

    fn refused(path: &Path) -> String {
        read_rule_files(&[path.to_owned()]).unwrap_err().to_string()
    }

    #[test]
    fn links_in_a_circle_are_followed_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("in")).unwrap();
        std::fs::write(root.join("in/a.yml"), RULE).unwrap();
        for name in ["b", "c", "d", "in/e"] {
            std::os::unix::fs::symlink(root, root.join(name)).unwrap();
        }
        let files = read_rule_files(&[root.to_owned()]).unwrap();
        assert_eq!(files.len(), 1, "{files:?}");
    }

    #[test]
    fn what_is_no_rule_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(refused(Path::new("/dev/zero")).contains("a device"));
        assert!(refused(root).contains("no .yml"));
        let pipe = root.join("a.yml");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(refused(root).contains("a pipe"));
        std::fs::remove_file(&pipe).unwrap();
        std::fs::write(&pipe, "x".repeat(MAX_RULE_FILE_BYTES + 1)).unwrap();
        assert!(refused(root).contains("longer than"));
        std::fs::remove_file(&pipe).unwrap();
        std::fs::create_dir_all(root.join("d/".repeat(MAX_DEPTH + 1))).unwrap();
        assert!(refused(root).contains("nested"));
    }
}
