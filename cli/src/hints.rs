//! Commands to go on with, printed to stderr.

use crate::args::StoreArgs;
use crate::output::{escape, notice};

/// Commands to go on with, printed to stderr.
pub struct Hints {
    /// What stands above them.
    pub head: String,
    /// ` --store PLACE`, where commands are to name it.
    store: String,
    lines: Vec<String>,
}

impl Hints {
    /// None yet; each names the store where it is not the one that is taken without.
    pub fn new(place: &StoreArgs) -> Self {
        let by_itself = std::env::var("CASEBOOK_STORE").unwrap_or_else(|_| "./casebook-data".to_owned());
        let store = if place.store == by_itself {
            String::new()
        } else {
            format!(" --store {}", shell_word(&place.store))
        };
        Self {
            head: "Next:".to_owned(),
            store,
            lines: Vec::new(),
        }
    }

    /// Adds a command by its words.
    pub fn add(&mut self, words: &[&str]) {
        self.add_with(words, "");
    }

    /// Adds a command with a remark after it.
    pub fn add_with(&mut self, words: &[&str], remark: &str) {
        let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
        let line = format!("casebook {}{} {remark}", words.join(" "), self.store);
        self.lines.push(line.trim_end().to_owned());
    }

    /// Prints them.
    pub fn print(&self) {
        if self.lines.is_empty() {
            return;
        }
        notice!("{}", self.head);
        for line in &self.lines {
            notice!("  {}", escape(line));
        }
    }
}

/// A word of a command line as a shell takes it for itself: names come out of logs, and commands are pasted.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_names_run_nothing() {
        assert_eq!(shell_word("pod:prod/web-1"), "pod:prod/web-1");
        assert_eq!(shell_word("user:a$(id)"), "'user:a$(id)'");
        assert_eq!(shell_word("user:a';id;'"), "'user:a'\\'';id;'\\'''");
    }
}
