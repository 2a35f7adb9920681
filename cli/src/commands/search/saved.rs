//! Saved queries: `--save NAME`, `--saved`, and `@NAME` in a query.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use casebook_event::Value;

use crate::exit_code::{self, usage};
use crate::output::OutputFormat;
use crate::output::{self, Rows, notice};

/// Longest file of saved queries, in bytes.
const MAX_FILE_BYTES: usize = 1 << 20;
/// How often a saved query may name another.
const MAX_NESTING: usize = 8;

/// `searches.json` in the user's configuration.
fn file() -> Result<PathBuf> {
    let configuration = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
        .ok_or_else(|| usage("saved queries are kept in $XDG_CONFIG_HOME or $HOME/.config, and neither is known"))?;
    Ok(configuration.join("casebook/searches.json"))
}

fn read() -> Result<BTreeMap<String, String>> {
    let path = file()?;
    let text = match casebook_pipeline::read_text_file(&path, MAX_FILE_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(usage(format!("{}: {error}", path.display()))),
    };
    serde_json::from_str(&text).map_err(|error| usage(format!("{}: {error}", path.display())))
}

fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(rest)
}

/// The query with `@name` replaced by what is saved under that name, in parentheses.
pub fn resolve(words: &[String]) -> Result<String> {
    let query = words.join(" ");
    if !query.contains('@') {
        return Ok(query);
    }
    expand(&query, &read()?, MAX_NESTING)
}

fn expand(query: &str, saved: &BTreeMap<String, String>, nesting: usize) -> Result<String> {
    let mut out = String::new();
    for (n, word) in query.split(' ').enumerate() {
        if n > 0 {
            out.push(' ');
        }
        let open = word.trim_start_matches(['(', '-', '!', '+']);
        let before = &word[..word.len() - open.len()];
        let name = open.trim_end_matches(')');
        let Some(name) = name
            .strip_prefix('@')
            .filter(|name| is_name(name) && *name != "timestamp")
        else {
            out.push_str(word);
            continue;
        };
        let Some(query) = saved.get(name) else {
            return Err(usage(format!(
                "no query is saved as `{name}`: `casebook search --saved` lists them; quote it to find the word itself: \"@{name}\""
            )));
        };
        let inner = match nesting.checked_sub(1) {
            Some(nesting) => expand(query, saved, nesting)?,
            None => {
                return Err(usage(format!(
                    "the saved query `{name}` names itself, or others too deep"
                )));
            }
        };
        let after = &open[name.len() + 1..];
        out.push_str(&format!("{before}({inner}){after}"));
    }
    Ok(out)
}

/// Keeps a query that is one.
pub fn save(name: &str, query: &str) -> Result<ExitCode> {
    if !is_name(name) {
        return Err(usage(format!(
            "--save: `{name}` is no name: letters, digits, - and _, at most 64"
        )));
    }
    casebook_store::check_query(query).map_err(casebook_store::StoreError::from)?;
    let mut saved = read()?;
    saved.insert(name.to_owned(), query.to_owned());
    let path = file()?;
    let folder = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Whoever reads it meanwhile finds the one or the other, and nothing half.
    let begun = path.with_extension("json.begun");
    let text = serde_json::to_string_pretty(&saved)?;
    std::fs::write(&begun, text).with_context(|| begun.display().to_string())?;
    std::fs::rename(&begun, &path).with_context(|| path.display().to_string())?;
    notice!("casebook: saved; `casebook search @{name}` runs it");
    Ok(exit_code::OK)
}

/// Prints what is saved.
pub fn list() -> Result<ExitCode> {
    let mut rows = Rows::new(&["name", "query"]);
    for (name, query) in read()? {
        rows.rows.push(vec![Value::from(name), Value::from(query)]);
    }
    output::print(&rows, OutputFormat::Table)?;
    Ok(exit_code::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_queries() {
        let saved: BTreeMap<String, String> = [
            ("exec", "verb:create subresource:exec"),
            ("prod", "namespace:prod"),
            ("both", "@exec OR @prod"),
            ("loop", "@loop"),
        ]
        .map(|(name, query)| (name.to_owned(), query.to_owned()))
        .into();
        let check = |query: &str, want: &str| assert_eq!(expand(query, &saved, MAX_NESTING).unwrap(), want);
        check("@exec user:alice", "(verb:create subresource:exec) user:alice");
        check("-(@prod)", "-((namespace:prod))");
        check("@both", "((verb:create subresource:exec) OR (namespace:prod))");
        check(
            "@timestamp:2024-05-01 a@b \"@exec\"",
            "@timestamp:2024-05-01 a@b \"@exec\"",
        );
        assert!(expand("@loop", &saved, MAX_NESTING).is_err());
        assert!(
            expand("@other", &saved, MAX_NESTING)
                .unwrap_err()
                .to_string()
                .contains("--saved")
        );
    }
}
