//! Topics, and consumer groups that share their partitions out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casebook_event::{Partition, Position, RawRecord, Timestamp};

use super::random::Random;

/// One consumer of a group.
pub(super) type Member = u64;

#[derive(Clone, Default)]
pub(super) struct Broker(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    partitions: BTreeMap<Partition, Vec<(Timestamp, Vec<u8>)>>,
    groups: BTreeMap<String, Group>,
    random: Option<Random>,
}

#[derive(Default)]
struct Group {
    topics: BTreeSet<String>,
    members: BTreeSet<Member>,
    /// Who reads a partition, as the coordinator knows.
    owner: BTreeMap<Partition, Member>,
    /// Who is to read it.
    target: BTreeMap<Partition, Member>,
}

/// What a member learns when it polls.
#[derive(Debug, Default)]
pub(super) struct Rebalance {
    pub(super) revoked: Vec<Partition>,
    pub(super) assigned: Vec<Partition>,
}

impl Broker {
    pub(super) fn new(random: Random) -> Self {
        let broker = Self::default();
        broker.state().random = Some(random);
        broker
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create(&self, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            self.state()
                .partitions
                .insert(Partition::new(topic, partition), Vec::new());
        }
    }

    /// Writes records that follow one another.
    pub(super) fn append(&self, partition: &Partition, now: Timestamp, payloads: Vec<Vec<u8>>) {
        let mut state = self.state();
        if let Some(log) = state.partitions.get_mut(partition) {
            log.extend(payloads.into_iter().map(|payload| (now, payload)));
        }
    }

    /// The offset after the last record of each partition of a topic.
    pub(super) fn ends(&self, topic: &str) -> BTreeMap<Partition, i64> {
        let state = self.state();
        let own = state
            .partitions
            .iter()
            .filter(|(partition, _)| &*partition.topic == topic);
        own.map(|(partition, log)| (partition.clone(), log.len() as i64))
            .collect()
    }

    pub(super) fn end(&self, partition: &Partition) -> i64 {
        self.state().partitions.get(partition).map_or(0, Vec::len) as i64
    }

    /// Records of a partition from an offset on, `limit` at most.
    pub(super) fn read(&self, partition: &Partition, from: i64, limit: usize) -> Vec<RawRecord> {
        let state = self.state();
        let log = state.partitions.get(partition).map_or(&[][..], Vec::as_slice);
        let records = log.iter().enumerate().skip(from.max(0) as usize).take(limit);
        records
            .map(|(offset, (timestamp, payload))| RawRecord {
                position: Position {
                    topic: partition.topic.clone(),
                    partition: partition.partition,
                    offset: offset as i64,
                    index: 0,
                },
                timestamp: *timestamp,
                payload: payload.clone(),
            })
            .collect()
    }

    pub(super) fn join(&self, group: &str, topics: &[String], member: Member) {
        let mut state = self.state();
        let own = state.groups.entry(group.to_owned()).or_default();
        own.topics.extend(topics.iter().cloned());
        if own.members.insert(member) {
            state.rebalance(group);
        }
    }

    /// A member is no more: by its own wish, or since it was not heard of for too long, which it need not know yet.
    pub(super) fn remove(&self, group: &str, member: Member) {
        let mut state = self.state();
        let Some(own) = state.groups.get_mut(group) else { return };
        if own.members.remove(&member) {
            own.owner.retain(|_, owner| *owner != member);
            state.rebalance(group);
        }
    }

    /// Shares the partitions out anew, as when somebody asks to.
    pub(super) fn shuffle(&self, group: &str) {
        self.state().rebalance(group);
    }

    /// What has changed for a member that believes to have `held`. Partitions move once who had them has given them up.
    pub(super) fn sync(&self, group: &str, member: Member, held: &BTreeSet<Partition>) -> Rebalance {
        let mut state = self.state();
        let mut found = Rebalance::default();
        let Some(own) = state.groups.get_mut(group) else {
            return found;
        };
        for partition in held {
            let is_own = own.owner.get(partition) == Some(&member);
            if is_own && own.target.get(partition) == Some(&member) {
                continue;
            }
            if is_own {
                own.owner.remove(partition);
            }
            found.revoked.push(partition.clone());
        }
        if !found.revoked.is_empty() {
            return found;
        }
        let free: Vec<Partition> = own
            .target
            .iter()
            .filter(|(partition, target)| **target == member && !own.owner.contains_key(*partition))
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in free {
            own.owner.insert(partition.clone(), member);
            found.assigned.push(partition);
        }
        found
    }
}

impl State {
    fn rebalance(&mut self, group: &str) {
        let (Some(own), Some(random)) = (self.groups.get_mut(group), &mut self.random) else {
            return;
        };
        let members: Vec<Member> = own.members.iter().copied().collect();
        own.target.clear();
        if members.is_empty() {
            return;
        }
        for partition in self.partitions.keys().filter(|p| own.topics.contains(&*p.topic)) {
            own.target.insert(partition.clone(), *random.pick(&members));
        }
    }
}
