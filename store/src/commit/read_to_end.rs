//! Up to when each partition is known: at what time all that it held was in the events table.
//!
//! It stands in the table's log as one `txn` action a partition, beside the one with its next offset: the application id
//! `end-casebook:<group>:<topic>:<partition>`, the offset up to which it was read, and in `lastUpdated` the time at which the
//! brokers reported that end. What was true once stays true, so it needs no fence, and is only ever moved forward. Other readers
//! of the table leave it alone.

use std::collections::BTreeMap;

use casebook_event::{Partition, Timestamp};

use super::offsets::{app_id, group_of, partition_of};
use crate::table::{Snapshot, Txn};

/// What the application ids of these actions begin with, before the one of the partition's offset.
const PREFIX: &str = "end-";

/// All that a partition held at a time is in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadToEnd {
    /// The partition.
    pub partition: Partition,
    /// The next offset to read.
    pub next: i64,
    /// When the brokers reported that it ended there, or before. `None` for a partition that is read and was never read to its
    /// end: so that nobody takes the others for the whole topic.
    pub at: Option<Timestamp>,
}

/// How far a topic is known, by all groups that read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCoverage {
    /// The topic.
    pub topic: String,
    /// Partitions of which something was committed.
    pub partitions: u64,
    /// At that time, all of it was in the table: the earliest of its partitions. `None` where that is not known of each of
    /// them, as of one that is not read to its end yet, or was read by an older version.
    pub read_to_end: Option<Timestamp>,
    /// When something of it was committed last.
    pub committed: Option<Timestamp>,
}

/// The actions that say so, of those that the table does not know yet.
pub(crate) fn read_to_end_txns(snapshot: &Snapshot, group: &str, ends: &[ReadToEnd]) -> Vec<Txn> {
    let txns = ends.iter().filter_map(|end| {
        let app_id = format!("{PREFIX}{}", app_id(group, &end.partition));
        let at = end.at.map(|at| at.as_nanos().div_euclid(1_000_000));
        let is_news = match snapshot.txns.get(&app_id) {
            Some(known) => known.last_updated < at,
            None => true,
        };
        is_news.then_some(Txn {
            app_id,
            version: end.next,
            last_updated: at,
        })
    });
    txns.collect()
}

/// What is known of each partition: when it was read to its end last, and when something of it was committed.
#[derive(Default)]
struct Known {
    read_to_end: Option<Timestamp>,
    committed: Option<Timestamp>,
}

/// How far each topic is known. Of a partition that several groups read, the one that is further counts.
pub(crate) fn topics(snapshot: &Snapshot) -> Vec<TopicCoverage> {
    let mut partitions: BTreeMap<Partition, Known> = BTreeMap::new();
    for txn in snapshot.txns.values() {
        let (id, is_end) = match txn.app_id.strip_prefix(PREFIX) {
            Some(id) => (id, true),
            None => (txn.app_id.as_str(), false),
        };
        let Some(partition) = group_of(id).and_then(|group| partition_of(id, &group)) else {
            continue;
        };
        let known = partitions.entry(partition).or_default();
        let time = txn.last_updated.map(Timestamp::from_millis);
        if is_end {
            known.read_to_end = known.read_to_end.max(time);
        } else {
            known.committed = known.committed.max(time);
        }
    }
    let mut topics: Vec<TopicCoverage> = Vec::new();
    for (partition, known) in partitions {
        match topics.last_mut().filter(|last| *last.topic == *partition.topic) {
            Some(last) => {
                last.partitions += 1;
                last.read_to_end = last.read_to_end.zip(known.read_to_end).map(|(a, b)| a.min(b));
                last.committed = last.committed.max(known.committed);
            }
            None => topics.push(TopicCoverage {
                topic: partition.topic.to_string(),
                partitions: 1,
                read_to_end: known.read_to_end,
                committed: known.committed,
            }),
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(txns: &[(&str, i64, i64)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (app_id, version, last_updated) in txns {
            let txn = Txn {
                app_id: (*app_id).to_owned(),
                version: *version,
                last_updated: Some(*last_updated),
            };
            snapshot.txns.insert(txn.app_id.clone(), txn);
        }
        snapshot
    }

    #[test]
    fn a_topic_is_known_as_far_as_the_least_of_its_partitions() {
        let snapshot = snapshot(&[
            ("casebook:g:logs.a:0", 7, 5_000),
            ("end-casebook:g:logs.a:0", 7, 9_000),
            // Read by two groups: the further one counts.
            ("end-casebook:old%3Agroup:logs.a:0", 3, 1_000),
            ("casebook:g:logs.a:1", 2, 6_000),
            ("end-casebook:g:logs.a:1", 2, 8_000),
            // Nothing was ever in it.
            ("end-casebook:g:logs.empty:0", 0, 4_000),
            ("casebook:g:logs:with:colons:0", 2, 3_000),
            ("resume-casebook:g:logs.a:0", 2, 3_000),
            ("of another application", 1, 1),
        ]);
        let known: Vec<_> = topics(&snapshot)
            .into_iter()
            .map(|topic| (topic.topic, topic.partitions, topic.read_to_end, topic.committed))
            .collect();
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        assert_eq!(
            known,
            [
                ("logs.a".to_owned(), 2, at(8), at(6)),
                ("logs.empty".to_owned(), 1, at(4), None),
                ("logs:with:colons".to_owned(), 1, None, at(3)),
            ]
        );
    }

    #[test]
    fn a_time_only_moves_forward() {
        let snapshot = snapshot(&[("end-casebook:g:logs:0", 7, 9_000)]);
        let end = |partition, at: Option<i64>| ReadToEnd {
            partition: Partition::new("logs", partition),
            next: 7,
            at: at.map(Timestamp::from_seconds),
        };
        assert_eq!(
            read_to_end_txns(&snapshot, "g", &[end(0, Some(9)), end(0, Some(8)), end(0, None)]),
            []
        );
        let moved = read_to_end_txns(&snapshot, "g", &[end(0, Some(10)), end(1, Some(2)), end(2, None)]);
        let reported: Vec<_> = moved
            .iter()
            .map(|txn| (txn.app_id.as_str(), txn.version, txn.last_updated))
            .collect();
        assert_eq!(
            reported,
            [
                ("end-casebook:g:logs:0", 7, Some(10_000)),
                ("end-casebook:g:logs:1", 7, Some(2_000)),
                ("end-casebook:g:logs:2", 7, None)
            ]
        );
    }
}
