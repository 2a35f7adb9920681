//! The files that the rules are about. The only part of the house rules that touches the disk.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use super::rule_ids::RuleFile;
use super::source::SourceFile;

pub fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

pub fn read_if_there(root: &Path, path: &str) -> Result<Option<String>> {
    match fs::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.to_owned()),
    }
}

/// The Rust files of the members.
pub fn sources(root: &Path, members: &[String]) -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for member in members {
        for path in files(root, member, &["rs"])? {
            found.push(SourceFile {
                text: read(root, &path)?,
                path,
            });
        }
    }
    Ok(found)
}

/// The rule pack: every YAML file in it is a rule.
pub fn rules(root: &Path) -> Result<Vec<RuleFile>> {
    let mut found = Vec::new();
    for path in files(root, "rules", &["yml", "yaml"])? {
        found.push(RuleFile {
            text: read(root, &path)?,
            path,
        });
    }
    Ok(found)
}

/// The paths from the root, with `/`, in order, of the files below `folder` with one of the `extensions`. A folder that
/// is not there has none.
fn files(root: &Path, folder: &str, extensions: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context(folder),
        };
        for entry in entries {
            let entry = entry.with_context(|| folder.clone())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            let file_type = entry.file_type().with_context(|| path.clone())?;
            // Build output and hidden folders are nobody's source.
            if file_type.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if file_type.is_file() && has_extension(&name, extensions) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| extensions.contains(&extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_folders_of_folders() {
        let found = files(&crate::root(), "xtask", &["rs"]).unwrap();
        assert!(found.contains(&"xtask/src/house/tree.rs".to_owned()), "{found:?}");
        assert!(found.is_sorted());
        assert!(files(&crate::root(), "no-such-folder", &["rs"]).unwrap().is_empty());
    }
}
