//! Records that belong together: a container's line that the runtime cut, a stack trace of many lines, the records of one
//! audit event.
//!
//! One [`Joiner`] serves one partition, and what it joins depends on that partition's records alone: their content, their
//! order, the broker's time. So whoever reads a partition again, from the offset of the oldest open part on, joins the same
//! way: see [`Joiner::oldest`]. Only [`Joiner::take_all`], for a partition that has gone quiet, asks no record.
//!
//! For that, whether a group is over may depend on nothing that a later reader does not see: not on other groups, so that all
//! that are over go with the record that shows it; and not on parts that it may have missed, so that a group's age is that
//! of its last part. (Bounds are another matter: a line of more than [`MAX_JOIN_DISTANCE_RECORDS`] may be cut otherwise.)

use std::collections::{BTreeSet, HashMap};

use casebook_event::{Source, Timestamp};

use super::envelope::Envelope;
use crate::limits::{
    AUDITD_EVENT_MS, MAX_JOIN_AGE_MS, MAX_JOIN_BYTES, MAX_JOIN_DISTANCE_RECORDS, MAX_JOIN_PARTS, MAX_OPEN_JOIN_BYTES,
    MAX_OPEN_JOINS,
};
use crate::mask::Digest;
use crate::normalize::ContainerLine;

/// What is joined.
#[derive(Debug)]
pub(crate) enum Body {
    /// A container's line, of which more is to come.
    Container(ContainerLine<'static>),
    /// A line of an application's own file.
    Text(Source, String),
    /// The records of an audit event, and its time in milliseconds.
    Auditd(Vec<String>, i64),
}

/// Parts that wait for the rest.
#[derive(Debug)]
pub(crate) struct PendingFragment {
    pub(crate) body: Body,
    /// The parts as they were read, a line each.
    pub(crate) raw: String,
    pub(crate) envelope: Envelope,
    /// What was masked of the parts.
    pub(crate) digest: Digest,
    /// The messages of the parts of a line before anything was masked: they are in memory alone.
    pub(crate) originals: Vec<String>,
    parts: usize,
    first_offset: i64,
    last_timestamp: Timestamp,
}

impl PendingFragment {
    /// A first part.
    pub(crate) fn new(body: Body, raw: &str, envelope: &Envelope, digest: Digest) -> Self {
        Self {
            body,
            raw: raw.to_owned(),
            envelope: envelope.clone(),
            digest,
            originals: Vec::new(),
            parts: 1,
            first_offset: i64::MAX,
            last_timestamp: Timestamp::MIN,
        }
    }

    /// The same, of a first part that was itself joined, of parts from that offset on.
    pub(crate) fn since(mut self, offset: i64) -> Self {
        self.first_offset = offset;
        self
    }

    /// The same, of a line's first part whose message is that.
    pub(crate) fn with_original(mut self, message: String) -> Self {
        self.originals.push(message);
        self
    }

    /// Whether it has several parts.
    pub(crate) fn is_joined(&self) -> bool {
        self.parts > 1
    }

    fn bytes(&self) -> usize {
        self.raw.len() + self.originals.iter().map(String::len).sum::<usize>()
    }

    /// The offset of its first part, once it is pending.
    pub(crate) fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// Adds the raw text of a further part.
    fn add_raw(&mut self, raw: &str) {
        self.raw.push('\n');
        self.raw.push_str(raw);
        self.parts += 1;
    }

    /// Whether there is no room for another part.
    fn is_full(&self) -> bool {
        self.raw.len() >= MAX_JOIN_BYTES || self.parts >= MAX_JOIN_PARTS
    }
}

/// What names a group of parts: their kind, and the stream, file or event that they come from.
pub(crate) type JoinKey = u64;

/// The open parts of one partition.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    open: HashMap<JoinKey, PendingFragment>,
    /// By the offset of the first part.
    order: BTreeSet<(i64, JoinKey)>,
    /// By the broker's time of the last part.
    ages: BTreeSet<(Timestamp, JoinKey)>,
    /// Those of audit events by their own time, in milliseconds.
    audit: BTreeSet<(i64, JoinKey)>,
    bytes: usize,
    /// The record under way.
    offset: i64,
    timestamp: Timestamp,
}

impl Joiner {
    /// Begins a record. What its coming closes is to be taken with [`Joiner::take_stale`].
    pub(crate) fn begin(&mut self, offset: i64, timestamp: Timestamp) {
        self.offset = offset;
        self.timestamp = timestamp;
    }

    /// The broker's time of the record under way.
    pub(crate) fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The offset of the oldest part that waits.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.order.first().map(|(offset, _)| *offset)
    }

    /// Holds a first part.
    pub(crate) fn hold(&mut self, key: JoinKey, mut fragment: PendingFragment) {
        fragment.first_offset = fragment.first_offset.min(self.offset);
        fragment.last_timestamp = self.timestamp;
        self.bytes += fragment.bytes();
        self.order.insert((fragment.first_offset, key));
        self.ages.insert((fragment.last_timestamp, key));
        if let Body::Auditd(_, time_ms) = fragment.body {
            self.audit.insert((time_ms, key));
        }
        self.open.insert(key, fragment);
    }

    /// The open parts of `key`.
    pub(crate) fn get(&self, key: JoinKey) -> Option<&PendingFragment> {
        self.open.get(&key)
    }

    /// Adds a part to those that are open. Returns `false` where there is no room: then take them as they are.
    pub(crate) fn add(&mut self, key: JoinKey, (raw, digest): (&str, Digest), add: impl FnOnce(&mut Body)) -> bool {
        let Some(fragment) = self.open.get_mut(&key).filter(|fragment| !fragment.is_full()) else {
            return false;
        };
        fragment.add_raw(raw);
        fragment.digest = fragment.digest.and(digest);
        add(&mut fragment.body);
        self.ages.remove(&(fragment.last_timestamp, key));
        fragment.last_timestamp = self.timestamp;
        self.ages.insert((fragment.last_timestamp, key));
        self.bytes += raw.len() + 1;
        true
    }

    /// Keeps the message of a part that was added.
    pub(crate) fn add_original(&mut self, key: JoinKey, message: String) {
        if let Some(fragment) = self.open.get_mut(&key) {
            self.bytes += message.len();
            fragment.originals.push(message);
        }
    }

    /// Takes the parts of `key`.
    pub(crate) fn take(&mut self, key: JoinKey) -> Option<PendingFragment> {
        let fragment = self.open.remove(&key)?;
        self.order.remove(&(fragment.first_offset, key));
        self.ages.remove(&(fragment.last_timestamp, key));
        if let Body::Auditd(_, time_ms) = fragment.body {
            self.audit.remove(&(time_ms, key));
        }
        self.bytes -= fragment.bytes();
        Some(fragment)
    }

    /// Takes one of the groups for which the record under way means that their rest will not come, or that are too many. It is
    /// to be called until there is none.
    pub(crate) fn take_stale(&mut self, now_ms: Option<i64>) -> Option<PendingFragment> {
        let &(first_offset, oldest) = self.order.first()?;
        let &(last, aged) = self.ages.first()?;
        let age_ms = self.timestamp.as_nanos().saturating_sub(last.as_nanos()) / 1_000_000;
        let over = self
            .audit
            .first()
            .filter(|(time_ms, _)| now_ms.is_some_and(|now_ms| now_ms.saturating_sub(*time_ms) > AUDITD_EVENT_MS));
        if let Some(&(_, key)) = over {
            return self.take(key);
        }
        if age_ms > MAX_JOIN_AGE_MS {
            return self.take(aged);
        }
        let too_many = self.offset.saturating_sub(first_offset) > MAX_JOIN_DISTANCE_RECORDS
            || self.open.len() > MAX_OPEN_JOINS
            || self.bytes > MAX_OPEN_JOIN_BYTES;
        if too_many { self.take(oldest) } else { None }
    }

    /// Takes everything, the oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<PendingFragment> {
        let keys: Vec<JoinKey> = self.order.iter().map(|(_, key)| *key).collect();
        keys.into_iter().filter_map(|key| self.take(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(text: &str) -> PendingFragment {
        PendingFragment::new(
            Body::Text(Source::Application, text.into()),
            text,
            &Envelope::default(),
            Digest::NONE,
        )
    }

    #[test]
    fn the_oldest_part_is_known_and_goes_first() {
        let mut joiner = Joiner::default();
        joiner.begin(5, Timestamp::from_seconds(1));
        joiner.hold(1, fragment("a"));
        joiner.begin(6, Timestamp::from_seconds(2));
        joiner.hold(2, fragment("b"));
        assert!(joiner.add(1, ("c", Digest::NONE), |_| ()));
        assert_eq!(joiner.oldest(), Some(5));
        assert_eq!(joiner.take(1).map(|fragment| fragment.raw).as_deref(), Some("a\nc"));
        assert_eq!(joiner.oldest(), Some(6));
        assert!(joiner.take_stale(None).is_none());
        joiner.begin(7, Timestamp::from_seconds(1000));
        assert_eq!(
            joiner.take_stale(None).map(|fragment| fragment.raw).as_deref(),
            Some("b")
        );
        assert_eq!((joiner.oldest(), joiner.bytes), (None, 0));
    }

    #[test]
    fn every_bound_closes_the_oldest() {
        let mut joiner = Joiner::default();
        for n in 0..=MAX_OPEN_JOINS as i64 {
            joiner.begin(n, Timestamp::from_seconds(1));
            joiner.hold(n as u64, fragment("x"));
        }
        assert!(joiner.take_stale(None).is_some());
        assert!(joiner.take_stale(None).is_none());
        joiner.begin(2 * MAX_JOIN_DISTANCE_RECORDS, Timestamp::from_seconds(1));
        assert!(joiner.take_stale(None).is_some());
        let mut joiner = Joiner::default();
        joiner.hold(1, fragment(""));
        let part = "y".repeat(MAX_JOIN_BYTES);
        assert!(joiner.add(1, (&part, Digest::NONE), |_| ()));
        assert!(!joiner.add(1, ("z", Digest::NONE), |_| ()), "full");
    }

    #[test]
    fn a_later_audit_event_closes_an_older_one() {
        let mut joiner = Joiner::default();
        joiner.hold(
            1,
            PendingFragment::new(
                Body::Auditd(vec!["a".into()], 1_000),
                "a",
                &Envelope::default(),
                Digest::NONE,
            ),
        );
        assert!(joiner.take_stale(Some(1_000 + AUDITD_EVENT_MS)).is_none());
        assert!(joiner.take_stale(Some(1_001 + AUDITD_EVENT_MS)).is_some());
    }
}
