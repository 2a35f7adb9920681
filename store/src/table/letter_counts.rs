//! How many dead letters of each topic and reason one data file has: a tag of its add action, so that what could not become an event
//! is counted by the log alone.
//!
//! The tag is `casebook.letters`, a JSON object by topic: `{"logs.auth":{"invalid_json":2}}`. A file that has more pairs than
//! [`MAX_TAG_PAIRS`], or a longer text than [`MAX_TAG_TEXT_BYTES`], has no such tag: it is read to be counted.

use std::collections::BTreeMap;

use super::action::Add;

/// The name of the tag.
const TAG: &str = "casebook.letters";

/// Most pairs of a topic and a reason that a tag has.
const MAX_TAG_PAIRS: usize = 64;

/// Longest topic or reason in a tag, in bytes: Kafka's topics have 249 at most.
const MAX_TAG_TEXT_BYTES: usize = 256;

/// Dead letters by topic and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LetterCounts(pub BTreeMap<String, BTreeMap<String, u64>>);

impl LetterCounts {
    /// Counts letters.
    pub fn add(&mut self, topic: &str, reason: &str, count: u64) {
        // Almost all are of a pair that is known.
        if let Some(known) = self.0.get_mut(topic).and_then(|reasons| reasons.get_mut(reason)) {
            *known = known.saturating_add(count);
            return;
        }
        let reasons = self.0.entry(topic.to_owned()).or_default();
        reasons.insert(reason.to_owned(), count);
    }

    /// The letters of another file, or batch, too.
    pub fn join(&mut self, other: &Self) {
        for (topic, reasons) in &other.0 {
            for (reason, count) in reasons {
                self.add(topic, reason, *count);
            }
        }
    }

    /// The tag of the add action; none for a file that has no letters, or whose pairs are too many or too long.
    pub fn tag(&self) -> Option<(String, String)> {
        let pairs: usize = self.0.values().map(BTreeMap::len).sum();
        let mut texts = self.0.iter().flat_map(|(topic, reasons)| reasons.keys().chain([topic]));
        let fits = pairs <= MAX_TAG_PAIRS && texts.all(|text| text.len() <= MAX_TAG_TEXT_BYTES);
        let text = (pairs > 0 && fits).then(|| serde_json::to_string(&self.0).ok())??;
        Some((TAG.to_owned(), text))
    }

    /// What an add action says; `None` where it says nothing that can be read, as those of older versions do.
    pub fn of(add: &Add) -> Option<Self> {
        let text = add.tags.as_ref()?.get(TAG)?.as_deref()?;
        serde_json::from_str(text).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An add action with that text as its tag.
    fn add(text: &str) -> Add {
        Add {
            path: "p".into(),
            partition_values: BTreeMap::new(),
            size: 1,
            modification_time: 0,
            data_change: true,
            stats: None,
            tags: Some([(TAG.to_owned(), Some(text.to_owned()))].into()),
            deletion_vector: None,
        }
    }

    fn counts(letters: &[(&str, &str, u64)]) -> LetterCounts {
        let mut counts = LetterCounts::default();
        for (topic, reason, count) in letters {
            counts.add(topic, reason, *count);
        }
        counts
    }

    #[test]
    fn counts_come_back_from_the_tag() {
        let mut all = counts(&[("logs.auth", "invalid_json", 2), ("logs.\"web\"", "", 1)]);
        all.join(&counts(&[
            ("logs.auth", "invalid_json", 3),
            ("logs.auth", "too_deep", 1),
        ]));
        let (name, text) = all.tag().unwrap();
        assert_eq!(name, "casebook.letters");
        assert_eq!(
            text,
            r#"{"logs.\"web\"":{"":1},"logs.auth":{"invalid_json":5,"too_deep":1}}"#
        );
        assert_eq!(LetterCounts::of(&add(&text)), Some(all));
        for broken in ["{", r#"{"logs":2}"#, r#"{"logs":{"invalid_json":-1}}"#] {
            assert_eq!(LetterCounts::of(&add(broken)), None, "{broken}");
        }
        let untagged = Add { tags: None, ..add("") };
        assert_eq!(LetterCounts::of(&untagged), None);
    }

    #[test]
    fn what_is_too_much_for_a_tag_has_none() {
        assert_eq!(LetterCounts::default().tag(), None);
        let mut many = LetterCounts::default();
        for n in 0..MAX_TAG_PAIRS {
            many.add(&format!("logs.{}", n % 8), &format!("reason {}", n / 8), 1);
        }
        let (_, text) = many.tag().unwrap();
        assert_eq!(LetterCounts::of(&add(&text)).as_ref(), Some(&many));
        many.add("logs.0", "reason 0", 1);
        assert!(many.tag().is_some(), "no other pair");
        many.add("logs.0", "one more", 1);
        assert_eq!(many.tag(), None);
        let [longest, longer] = [0, 1].map(|more| "x".repeat(MAX_TAG_TEXT_BYTES + more));
        assert!(counts(&[(&longest, &longest, 1)]).tag().is_some());
        assert_eq!(counts(&[(&longer, "", 1)]).tag(), None);
        assert_eq!(counts(&[("", &longer, 1)]).tag(), None);
    }
}
