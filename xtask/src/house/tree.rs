//! The files that the rules are about. The only part of the house rules that touches the disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

use super::rule_ids::RuleFile;
use super::source::SourceFile;

pub fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

pub fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    fs::write(root.join(path), text).with_context(|| path.to_owned())
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

/// What is written by hand and read by people, wherever it lies: `sh` stands for scripts without an extension too.
const TEXTS: [&str; 10] = ["rs", "md", "toml", "yaml", "yml", "tpl", "py", "service", "txt", ""];

/// Folders of texts that are nobody's prose: the rules and samples are data.
const DATA: [&str; 2] = ["samples", "seeds"];

/// Every file and folder, by its path from the root.
pub fn paths(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type()?.is_dir();
        if is_folder && name != "target" && (name == ".ci" || name == ".cargo" || !name.starts_with('.')) {
            for file in files(root, &name, &[])? {
                let folders = file.match_indices('/').map(|(at, _)| file[..at].to_owned());
                found.extend(folders.collect::<Vec<_>>());
                found.insert(file);
            }
        } else if !is_folder {
            found.insert(name);
        }
    }
    Ok(found)
}

/// The texts among these paths.
pub fn texts(root: &Path, paths: &BTreeSet<String>) -> Result<Vec<SourceFile>> {
    let is_rule = |path: &str| path.starts_with("rules/") && !path.ends_with(".md");
    let is_data = |path: &str| path.split('/').any(|part| DATA.contains(&part));
    let is_text = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        TEXTS.contains(&name.rsplit_once('.').map_or("", |(_, extension)| extension))
            && root.join(path.as_str()).is_file()
    };
    let texts = paths.iter().filter(is_text);
    let texts = texts.filter(|path| !is_rule(path) && (path.ends_with(".rs") || !is_data(path)));
    texts
        .map(|path| {
            Ok(SourceFile {
                text: read(root, path)?,
                path: path.clone(),
            })
        })
        .collect()
}

/// The paths from the root, with `/`, in order, of the files below `folder` with one of the `extensions`, or all
/// where there are none. A folder that is not there has no files.
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
    extensions.is_empty()
        || name
            .rsplit_once('.')
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
