//! The endless corpus: background of a working cluster, in the order in which shippers deliver it.

use std::collections::VecDeque;

use casebook_event::{Source, Timestamp};

use crate::benign::Benign;
use crate::cluster::{ACCOUNT, Cluster};
use crate::config::{Activity, CorpusConfig};
use crate::damage::{self, Damage};
use crate::random::Random;
use crate::{application, audit, auth, cloudtrail, container, dense};

/// Most records between a record and its duplicate.
const MAX_DUPLICATE_DISTANCE_RECORDS: u64 = 64;

/// A record as a producer would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusRecord {
    /// The topic it belongs on: see [`topic`].
    pub topic: &'static str,
    /// What kind of log it is.
    pub source: Source,
    /// The record's key: what its order matters within.
    pub key: String,
    /// When it happened; for a record of several events, when the first did.
    pub time: Timestamp,
    /// Its bytes, without a line end.
    pub payload: Vec<u8>,
    /// How it is broken, if it is.
    pub damage: Option<Damage>,
}

/// The sources that the corpus has, which are some of all.
pub const SOURCES: &[Source] = &[
    Source::KubernetesAudit,
    Source::ContainerLog,
    Source::CloudTrail,
    Source::Auth,
    Source::Application,
];

/// The topic that the corpus's records of a source go to.
pub fn topic(source: Source) -> &'static str {
    match source {
        Source::KubernetesAudit => "logs.kubernetes-audit",
        Source::ContainerLog => "logs.container",
        Source::CloudTrail => "logs.cloudtrail",
        Source::Auth => "logs.auth",
        _ => "logs.application",
    }
}

/// An endless, repeatable stream of records over all sources. It never ends: `take` what is needed.
pub struct Corpus {
    config: CorpusConfig,
    cluster: Cluster,
    random: Random,
    /// Where it is a day on which nothing happens.
    benign: Option<Benign>,
    /// Records made so far, duplicates not counted.
    made: u64,
    /// Records to deliver again, and when: the count of made records that is due.
    duplicates: VecDeque<(u64, CorpusRecord)>,
    /// The record under construction: kept so that its memory is used again.
    line: Vec<u8>,
    /// A text within it.
    scratch: Vec<u8>,
}

impl Corpus {
    /// The corpus of a configuration.
    pub fn new(config: CorpusConfig) -> Self {
        let cluster = Cluster::new(config.seed);
        let random = Random::new(config.seed, "corpus");
        let benign = (config.activity == Activity::Benign).then(|| Benign::new(config.seed));
        Self {
            config,
            cluster,
            random,
            benign,
            made: 0,
            duplicates: VecDeque::new(),
            line: Vec::with_capacity(4096),
            scratch: Vec::with_capacity(1024),
        }
    }

    /// The time of the next record: evenly spread, shaken within one step, and now and then late.
    fn next_time(&mut self) -> Timestamp {
        let step = 1_000_000_000 / u64::from(self.config.events_per_second.max(1));
        let mut after = (self.made.saturating_mul(step) + self.random.below(step)) as i64;
        if self.random.chance(self.config.late_per_million) {
            let lateness = self.random.below(u64::from(self.config.lateness_ms) * 1_000_000) as i64;
            after = (after - lateness).max(0);
        }
        self.config.start.saturating_add_nanos(after)
    }

    fn make(&mut self) -> CorpusRecord {
        let time = self.next_time();
        self.made += 1;
        let source = self.config.mix.source_at(self.random.below(self.config.mix.total()));
        let Self {
            cluster,
            random,
            benign,
            line,
            scratch,
            ..
        } = self;
        line.clear();
        let key = match source {
            Source::KubernetesAudit => audit::key(match benign {
                Some(benign) => benign.write_audit(cluster, random, time, line),
                None => dense::write(cluster, random, time, line),
            }),
            Source::ContainerLog => container::write_background(cluster, random, time, scratch, line),
            Source::CloudTrail => {
                cloudtrail::write_background(cluster, random, time, scratch, line);
                ACCOUNT.to_owned()
            }
            Source::Auth => auth::write_background(cluster, random, time, line).to_owned(),
            _ => application::write_background(cluster, random, time, line).to_owned(),
        };
        let damage = random
            .chance(self.config.damaged_per_million)
            .then(|| damage::inflict(random, source, line));
        CorpusRecord {
            topic: topic(source),
            source,
            key,
            time,
            payload: line.as_slice().to_vec(),
            damage,
        }
    }
}

impl Iterator for Corpus {
    type Item = CorpusRecord;

    fn next(&mut self) -> Option<CorpusRecord> {
        if self.duplicates.front().is_some_and(|(due, _)| *due <= self.made) {
            return self.duplicates.pop_front().map(|(_, record)| record);
        }
        let record = self.make();
        if self.random.chance(self.config.duplicates_per_million) {
            let due = self.made + self.random.below(MAX_DUPLICATE_DISTANCE_RECORDS);
            let at = self.duplicates.partition_point(|(other, _)| *other <= due);
            self.duplicates.insert(at, (due, record.clone()));
        }
        Some(record)
    }
}
