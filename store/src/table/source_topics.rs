//! Which topics the rows of one data file came from, by source: a tag of its add action, so that what is known of a topic can be
//! said of the sources that it carries.
//!
//! The tag is `casebook.topics`, a JSON object by source name: `{"auth":["logs.auth"]}`. A source that comes from more topics
//! than [`MAX_SOURCE_TOPICS`] has `null` there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use casebook_event::Event;
use serde_json::json;

use super::action::Add;

/// The name of the tag.
const TAG: &str = "casebook.topics";

/// Most topics of one source that a file names.
const MAX_SOURCE_TOPICS: usize = 32;

/// The topics of a file's rows, by the name of their source; `None` for a source that has too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceTopics(pub BTreeMap<String, Option<BTreeSet<Arc<str>>>>);

impl SourceTopics {
    /// Takes note of rows, most of which are of the same source and topic as the one before.
    pub fn observe(&mut self, events: &[&Event]) {
        let same = |a: &&Event, b: &&Event| a.source == b.source && Arc::ptr_eq(&a.position.topic, &b.position.topic);
        for run in events.chunk_by(same) {
            if let Some(event) = run.first() {
                self.add(event.source.name(), &event.position.topic);
            }
        }
    }

    fn add(&mut self, source: &str, topic: &Arc<str>) {
        if !self.0.contains_key(source) {
            self.0.insert(source.to_owned(), Some(BTreeSet::new()));
        }
        if let Some(topics) = self.0.get_mut(source)
            && let Some(known) = topics
            && !known.contains(topic)
        {
            known.insert(topic.clone());
            if known.len() > MAX_SOURCE_TOPICS {
                *topics = None;
            }
        }
    }

    /// The topics of another file too.
    pub fn join(&mut self, other: &Self) {
        for (source, topics) in &other.0 {
            match topics {
                Some(topics) => topics.iter().for_each(|topic| self.add(source, topic)),
                None => drop(self.0.insert(source.clone(), None)),
            }
        }
    }

    /// The tag of the add action.
    pub fn tag(&self) -> (String, Option<String>) {
        let text = json!(
            self.0
                .iter()
                .map(|(source, topics)| {
                    let topics = topics
                        .as_ref()
                        .map(|topics| topics.iter().map(|topic| &**topic).collect::<Vec<_>>());
                    (source.as_str(), topics)
                })
                .collect::<BTreeMap<_, _>>()
        );
        (TAG.to_owned(), Some(text.to_string()))
    }

    /// What an add action says; `None` where it says nothing that can be read, as those of older versions do.
    pub fn of(add: &Add) -> Option<Self> {
        let text = add.tags.as_ref()?.get(TAG)?.as_deref()?;
        let topics: BTreeMap<String, Option<BTreeSet<String>>> = serde_json::from_str(text).ok()?;
        let shared = |topics: BTreeSet<String>| topics.into_iter().map(Arc::from).collect();
        Some(Self(
            topics
                .into_iter()
                .map(|(source, topics)| (source, topics.map(shared)))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_come_back_from_the_tag_and_too_many_are_none() {
        let mut topics = SourceTopics::default();
        topics.add("auth", &"logs.auth".into());
        topics.add("auth", &"logs.bastion".into());
        for n in 0..=MAX_SOURCE_TOPICS {
            topics.add("application", &format!("logs.{n}").into());
        }
        // Whatever comes then.
        topics.add("application", &"logs.0".into());
        assert_eq!(topics.0["application"], None);
        let (name, text) = topics.tag();
        let add = |text: Option<String>| Add {
            path: "p".into(),
            partition_values: BTreeMap::new(),
            size: 1,
            modification_time: 0,
            data_change: true,
            stats: None,
            tags: Some([(name.clone(), text)].into()),
            deletion_vector: None,
        };
        assert_eq!(SourceTopics::of(&add(text)), Some(topics.clone()));
        assert_eq!(SourceTopics::of(&add(Some("{".into()))), None);
        let mut joined = SourceTopics::default();
        joined.add("auth", &"logs.other".into());
        joined.join(&topics);
        assert_eq!(joined.0["auth"].as_ref().map(BTreeSet::len), Some(3));
        assert_eq!(joined.0["application"], None);
    }
}
