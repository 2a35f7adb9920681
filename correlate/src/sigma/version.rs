//! A hash of what a rule means, which changes with its meaning and with nothing else.

use xxhash_rust::xxh3::Xxh3;

use super::yaml::{Data, Node};

/// The parts of a rule that decide what it matches and whether it alerts.
const MEANINGFUL: &[&str] = &["logsource", "detection", "correlation", "generate", "filter"];

/// Hashes the meaningful parts of a rule's document. Comments, layout, quoting, the order of keys, titles, tags and tests
/// do not count: correcting them does not make another rule of it, and does not lose its open windows.
pub(crate) fn version_of(document: &Node) -> u64 {
    let mut hasher = Xxh3::new();
    for key in MEANINGFUL {
        if let Some(entry) = document.entry(key) {
            part(&mut hasher, b'k', key);
            hash(&mut hasher, &entry.value);
        }
    }
    hasher.digest()
}

/// A hash of one part of a document, after another.
pub(crate) fn version_of_part(before: u64, node: &Node) -> u64 {
    let mut hasher = Xxh3::with_seed(before);
    hash(&mut hasher, node);
    hasher.digest()
}

/// Whether a value of the document has the modifier `expand`, so that its meaning is not all in itself.
pub(crate) fn expands(node: &Node) -> bool {
    match &node.data {
        Data::Map(entries) => entries
            .iter()
            .any(|entry| entry.key.split('|').skip(1).any(|modifier| modifier == "expand") || expands(&entry.value)),
        Data::Seq(items) => items.iter().any(expands),
        _ => false,
    }
}

fn part(hasher: &mut Xxh3, kind: u8, text: &str) {
    hasher.update(&[kind]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn hash(hasher: &mut Xxh3, node: &Node) {
    match &node.data {
        Data::Null => part(hasher, b'0', ""),
        Data::Bool(flag) => part(hasher, b'b', if *flag { "true" } else { "false" }),
        Data::Number(text) => part(hasher, b'n', text),
        Data::Str(text) => part(hasher, b's', text),
        Data::Seq(items) => {
            part(hasher, b'[', "");
            items.iter().for_each(|item| hash(hasher, item));
            part(hasher, b']', "");
        }
        Data::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().filter(|entry| entry.key != "definition").collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            part(hasher, b'{', "");
            for entry in sorted {
                part(hasher, b'k', &entry.key);
                hash(hasher, &entry.value);
            }
            part(hasher, b'}', "");
        }
    }
}
