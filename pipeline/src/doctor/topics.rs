//! What the doctor says of topics beyond whether they can be read: up to when they are, and whether what may be in them fits.

use casebook_event::Timestamp;
use casebook_store::{Store, TopicCoverage};

use crate::clock;
use crate::config::deployment::Config;
use crate::doctor::finding::{Finding, Verdict};
use crate::error::PipelineError;
use crate::topic::admin::topic_settings;
use crate::topic::writer::MIN_TOPIC_MESSAGE_BYTES;

/// A topic that was not read to its end for so long is one that nobody reads, or that is read too slowly.
const STALE_NANOS: i64 = 10 * 60 * 1_000_000_000;

/// Largest response that a consumer takes, in bytes, where `receive.message.max.bytes` does not say otherwise: librdkafka's.
const RECEIVE_BYTES: u64 = 100_000_000;

/// The setting of a topic that bounds its messages.
const MESSAGE_BYTES: &str = "max.message.bytes";

/// Up to when each topic is in the tables.
pub(crate) async fn ends(store: &Store) -> Vec<Finding> {
    match store.topic_coverage().await {
        Ok(topics) => topics.iter().map(|topic| end(topic, clock::now())).collect(),
        Err(error) => vec![Finding {
            what: "read to the end".into(),
            verdict: Verdict::Failed,
            detail: PipelineError::from(error).to_string(),
        }],
    }
}

fn end(topic: &TopicCoverage, now: Timestamp) -> Finding {
    let seconds = |time: Timestamp| now.as_nanos().saturating_sub(time.as_nanos()).div_euclid(1_000_000_000);
    let (verdict, detail) = match topic.read_to_end {
        Some(at) if at.saturating_add_nanos(STALE_NANOS) >= now => (
            Verdict::Ok,
            format!("{} s ago: what is not in the tables was not sent", seconds(at)),
        ),
        Some(at) => (
            Verdict::Warning,
            format!(
                "last {} s ago, at {at}: nobody reads it, or it is read too slowly",
                seconds(at)
            ),
        ),
        None => (
            Verdict::Warning,
            "not yet, or not known of each partition: it lags, or an older version read it".into(),
        ),
    };
    Finding {
        what: format!("{} read to the end", topic.topic),
        verdict,
        detail,
    }
}

/// Whether Casebook's own topics take what is written to them, and the clients what is in the others.
pub(crate) async fn sizes(config: &Config, topics: &[String]) -> Vec<Finding> {
    let kafka = &config.kafka;
    let own = [
        Some(&kafka.signals_topic),
        kafka.alerts_topic.as_ref(),
        kafka.dead_letters_topic.as_ref(),
    ];
    let given = kafka
        .properties()
        .find(|(name, _)| *name == "receive.message.max.bytes");
    let receive = given.and_then(|(_, text)| text.parse().ok()).unwrap_or(RECEIVE_BYTES);
    let mut findings = Vec::new();
    for topic in topics {
        let Some(settings) = topic_settings(kafka, topic).await else {
            continue;
        };
        let Some(bytes) = settings.get(MESSAGE_BYTES).and_then(|text| text.parse::<u64>().ok()) else {
            continue;
        };
        let is_own = own.iter().flatten().any(|name| *name == topic);
        if let Some((verdict, detail)) = size(is_own, bytes, receive) {
            findings.push(Finding {
                what: format!("{MESSAGE_BYTES} of {topic}"),
                verdict,
                detail,
            });
        }
    }
    findings
}

fn size(is_own: bool, bytes: u64, receive: u64) -> Option<(Verdict, String)> {
    if is_own && bytes < MIN_TOPIC_MESSAGE_BYTES as u64 {
        let detail =
            format!("{bytes}: raise it to {MIN_TOPIC_MESSAGE_BYTES} at least, which is what Casebook writes at once");
        return Some((Verdict::Failed, detail));
    }
    if !is_own && bytes > receive {
        let detail = format!(
            "{bytes}: a record of that size is not fetched, and nothing after it: set receive.message.max.bytes in \
             kafka.properties above it, or lower it"
        );
        return Some((Verdict::Warning, detail));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_nobody_reads_is_not_a_quiet_one() {
        let topic = |read_to_end: Option<i64>| TopicCoverage {
            topic: "logs.auth".into(),
            partitions: 4,
            read_to_end: read_to_end.map(Timestamp::from_seconds),
            committed: Some(Timestamp::from_seconds(10)),
        };
        let check = |read_to_end, want: Verdict, says: &str| {
            let found = end(&topic(read_to_end), Timestamp::from_seconds(10_000));
            assert_eq!(found.verdict, want);
            assert!(found.detail.contains(says), "{}", found.detail);
        };
        check(Some(9_990), Verdict::Ok, "10 s ago");
        check(Some(1_000), Verdict::Warning, "nobody reads it");
        check(None, Verdict::Warning, "not yet");
    }

    #[test]
    fn sizes_that_do_not_fit_are_found() {
        assert_eq!(size(true, 65_535, RECEIVE_BYTES).unwrap().0, Verdict::Failed);
        assert_eq!(size(true, 65_536, RECEIVE_BYTES), None);
        assert_eq!(size(false, 500, RECEIVE_BYTES), None);
        assert_eq!(size(false, 200_000_000, RECEIVE_BYTES).unwrap().0, Verdict::Warning);
        assert_eq!(size(false, 200_000_000, 300_000_000), None);
    }
}
