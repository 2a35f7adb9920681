//! A hash of what a rule means, which changes with its meaning and with nothing else.

use xxhash_rust::xxh3::Xxh3;

use super::correlation::EXTENSION_KEYS;
use super::placeholder::{self, Placeholders};
use super::yaml::{Data, Node};

/// The parts of a rule that decide what it matches and whether it alerts.
const MEANINGFUL: &[&str] = &["logsource", "detection", "correlation", "generate"];

/// Hashes the meaningful parts of a rule's document. Comments, layout, quoting, the order of keys, titles, tags and tests
/// do not count: correcting them does not make another rule of it, and does not lose its open windows. Of placeholders, what
/// they stand for counts.
pub(crate) fn version_of(document: &Node, placeholders: &Placeholders) -> u64 {
    let mut hasher = Xxh3::new();
    for key in MEANINGFUL {
        if let Some(entry) = document.entry(key) {
            part(&mut hasher, b'k', key);
            hash(&mut hasher, &entry.value, placeholders);
        }
    }
    let casebook = document.entry("casebook").map(|entry| &entry.value);
    for entry in EXTENSION_KEYS.iter().filter_map(|key| casebook?.entry(key)) {
        part(&mut hasher, b'k', &entry.key);
        hash(&mut hasher, &entry.value, placeholders);
    }
    hasher.digest()
}

/// A hash of one part of a document.
pub(crate) fn version_of_part(node: &Node, placeholders: &Placeholders) -> u64 {
    let mut hasher = Xxh3::new();
    hash(&mut hasher, node, placeholders);
    hasher.digest()
}

/// Hashes texts after another version, which stays what it is if there are none.
pub(crate) fn version_with<'a>(version: u64, texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut texts = texts.into_iter().peekable();
    if texts.peek().is_none() {
        return version;
    }
    let mut hasher = Xxh3::with_seed(version);
    texts.for_each(|text| part(&mut hasher, b's', text));
    hasher.digest()
}

fn part(hasher: &mut Xxh3, kind: u8, text: &str) {
    hasher.update(&[kind]);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn hash(hasher: &mut Xxh3, node: &Node, placeholders: &Placeholders) {
    match &node.data {
        Data::Null => part(hasher, b'0', ""),
        Data::Bool(flag) => part(hasher, b'b', if *flag { "true" } else { "false" }),
        Data::Number(text) => part(hasher, b'n', text),
        Data::Str(text) => part(hasher, b's', text),
        Data::Seq(items) => {
            part(hasher, b'[', "");
            items.iter().for_each(|item| hash(hasher, item, placeholders));
            part(hasher, b']', "");
        }
        Data::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().filter(|entry| entry.key != "definition").collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            part(hasher, b'{', "");
            for entry in sorted {
                part(hasher, b'k', &entry.key);
                hash(hasher, &entry.value, placeholders);
                if entry.key.split('|').skip(1).any(|modifier| modifier == "expand") {
                    expanded(hasher, &entry.value, placeholders);
                }
            }
            part(hasher, b'}', "");
        }
    }
}

/// Hashes what the placeholders of a field's values stand for.
fn expanded(hasher: &mut Xxh3, values: &Node, placeholders: &Placeholders) {
    let texts = values.one_or_many().iter().filter_map(Node::scalar_text);
    for values in texts.flat_map(placeholder::names).map(|name| placeholders.get(name)) {
        values.into_iter().flatten().for_each(|value| part(hasher, b'p', value));
        part(hasher, b'.', "");
    }
}
