//! The demo: half an hour of a cluster's life, with an attack in it.

use casebook_event::{Source, Timestamp};

use crate::{Corpus, CorpusConfig, CorpusRecord, Mix, story};

/// How many background records the demo has: two a second for half an hour. With the story they stay below 4 MiB, and
/// each topic below 1.5 MiB, which an in-process broker of 5 MiB a partition holds.
pub const DEMO_BACKGROUND_RECORDS: usize = 3_600;
/// When the attack begins, after the demo's start.
const STORY_AFTER_SECONDS: i64 = 300;

/// The records of the demo of a seed, in order of time but for the background's own small disorder.
pub fn demo(seed: u64, start: Timestamp) -> Vec<CorpusRecord> {
    let config = CorpusConfig {
        seed,
        start,
        events_per_second: 2,
        duplicates_per_million: 10_000,
        mix: Mix::default().with(Source::KubernetesAudit, 24),
        ..CorpusConfig::default()
    };
    let background = Corpus::new(config).take(DEMO_BACKGROUND_RECORDS);
    weave(
        background,
        story(seed, start.saturating_add_nanos(STORY_AFTER_SECONDS * 1_000_000_000)),
    )
}

/// Merges two streams by time. The background is not sorted: each stream keeps its own order, and the earlier head goes
/// first.
fn weave(background: impl Iterator<Item = CorpusRecord>, story: Vec<CorpusRecord>) -> Vec<CorpusRecord> {
    let mut out = Vec::with_capacity(DEMO_BACKGROUND_RECORDS + story.len());
    let mut story = story.into_iter().peekable();
    for record in background {
        while let Some(next) = story.next_if(|next| next.time <= record.time) {
            out.push(next);
        }
        out.push(record);
    }
    out.extend(story);
    out
}
