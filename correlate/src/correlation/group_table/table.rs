//! The groups in memory, and the spilled ones below them.

use std::collections::{BTreeSet, HashMap, hash_map};
use std::sync::Arc;

use casebook_event::Timestamp;
use compact_str::CompactString;

use super::cold::{Cold, ColdError, ColdStore, Found, Stored};
use crate::correlation::codec::{Damaged, Names, Reader};
use crate::correlation::group::{Entry, Events, Group, GroupKey, Report, Weight};
use crate::correlation::plan::{CorrelationPlan, Plans};
use crate::limits::MAX_SPILLED_AT_ONCE;

/// When a group is due, its correlation's level, and the group.
type Due = (Timestamp, usize, Arc<GroupKey>);

/// All groups, within a bound of memory.
#[derive(Debug)]
pub(crate) struct GroupTable {
    groups: HashMap<Arc<GroupKey>, Group>,
    /// When each group in memory is due next: once the watermark has passed that time. One entry a group. At the same time,
    /// those that others build on come first.
    due: BTreeSet<Due>,
    /// What the groups in memory take.
    used: Weight,
    limit_bytes: usize,
    /// Passes over the groups so far, by which one that was used lately is known.
    passes: u32,
    /// Where groups go that do not fit; without it, all stay.
    cold: Option<Cold>,
    /// What spilled groups refer to by number.
    names: Names,
}

impl GroupTable {
    /// No groups, and no bound.
    pub(crate) fn new() -> Self {
        Self {
            groups: HashMap::new(),
            due: BTreeSet::new(),
            used: Weight::default(),
            limit_bytes: usize::MAX,
            passes: 0,
            cold: None,
            names: Names::default(),
        }
    }

    /// Groups that take more than `limit_bytes` together go to `store` from now on.
    pub(crate) fn bound(&mut self, store: Box<dyn ColdStore>, limit_bytes: usize) {
        self.cold = Some(Cold::new(store));
        self.limit_bytes = limit_bytes;
    }

    /// Gives a group an event; `emit` gets what is to be reported at once.
    pub(crate) fn insert(
        &mut self,
        plan: &CorrelationPlan,
        key: GroupKey,
        entry: Entry,
        provisional: bool,
        emit: impl FnMut(&Group, Report),
    ) -> Result<(), ColdError> {
        if let Some(group) = self.groups.get_mut(&key) {
            let room = (&mut self.used, self.passes);
            take(plan, group, (entry, provisional), room, &mut self.due, emit);
            return Ok(());
        }
        if !self.warm(plan, &key)? {
            let key = Arc::new(key.clone());
            let group = Group::new(plan, key.clone());
            self.used += group.weight();
            self.groups.insert(key, group);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            let room = (&mut self.used, self.passes);
            take(plan, group, (entry, provisional), room, &mut self.due, emit);
        }
        Ok(())
    }

    /// Takes the first group in memory that is due before `to`, and not after `last`.
    pub(crate) fn pop_due(&mut self, to: Timestamp, last: Option<(Timestamp, usize)>) -> Option<Due> {
        let first = self.due.pop_first()?;
        let is_after = |last: (Timestamp, usize)| (first.0, first.1) > last;
        if (first.0 >= to && to != Timestamp::MAX) || last.is_some_and(is_after) {
            self.due.insert(first);
            return None;
        }
        Some(first)
    }

    /// Closes what can no longer change of a group that was due, and puts it back in the order.
    pub(crate) fn close(
        &mut self,
        plan: &CorrelationPlan,
        key: &Arc<GroupKey>,
        up_to: Timestamp,
        emit: &mut dyn FnMut(&Events, &[CompactString], Report),
    ) {
        let Some(group) = self.groups.get_mut(key) else {
            return;
        };
        let weight = group.weight();
        group.close(plan, up_to, emit);
        self.used -= weight;
        match due(plan, group) {
            None => drop(self.groups.remove(key)),
            Some(due) => {
                self.used += group.weight();
                self.due.insert((due, plan.level, key.clone()));
            }
        }
    }

    /// Brings a group back that was spilled; whether there was one.
    fn warm(&mut self, plan: &CorrelationPlan, key: &GroupKey) -> Result<bool, ColdError> {
        let Some(cold) = self.cold.as_mut().filter(|cold| cold.len() > 0) else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        key.encode(&mut bytes, &mut self.names);
        match cold.take(&bytes)? {
            Some(stored) => self.thaw(plan, Arc::new(key.clone()), &stored).map(|()| true),
            None => Ok(false),
        }
    }

    fn thaw(&mut self, plan: &CorrelationPlan, key: Arc<GroupKey>, bytes: &[u8]) -> Result<(), ColdError> {
        let damaged = |damaged: Damaged| ColdError::Damaged {
            rule_id: key.rule_id.to_string(),
            at: damaged.at,
        };
        let group = Group::decode(plan, key.clone(), &mut Reader::new(bytes), &self.names).map_err(damaged)?;
        self.adopt(plan, group);
        Ok(())
    }

    /// Brings the memory down to half of its limit, if it is above: by groups that were not used since the last time, and
    /// by others if these are not enough.
    pub(crate) fn spill(&mut self, plans: &Plans) -> Result<(), ColdError> {
        let Some(cold) = &mut self.cold else { return Ok(()) };
        if self.used.bytes <= self.limit_bytes {
            return Ok(());
        }
        let (used, passes, target) = (&mut self.used, self.passes, self.limit_bytes / 2);
        for every in [false, true] {
            let mut stored = Vec::new();
            let unused = |group: &Group| every || group.used != passes;
            let taken = self.groups.extract_if(|_, group| {
                let taken = used.bytes > target && unused(group);
                if taken {
                    *used -= group.weight();
                }
                taken
            });
            for (key, group) in taken {
                // A group is always due at some time.
                let Some(plan) = plans.correlations.get(&key.rule_id) else {
                    continue;
                };
                let Some(due) = due(plan, &group) else { continue };
                let mut of_key = Vec::new();
                key.encode(&mut of_key, &mut self.names);
                let mut of_group = Vec::new();
                group.encode(&mut of_group, &mut self.names);
                self.due.remove(&(due, plan.level, key));
                stored.push(Stored {
                    due,
                    level: plan.level,
                    key: of_key,
                    group: of_group,
                });
                if stored.len() >= MAX_SPILLED_AT_ONCE {
                    cold.put(std::mem::take(&mut stored))?;
                }
            }
            cold.put(stored)?;
        }
        self.passes = passes.wrapping_add(1);
        Ok(())
    }

    /// Brings spilled groups back that are due before `to`, the first ones; when the last of them is due, and its level.
    pub(crate) fn warm_due(&mut self, plans: &Plans, to: Timestamp) -> Result<Option<(Timestamp, usize)>, ColdError> {
        let mut last = None;
        while last.is_none()
            && let Some(cold) = self.cold.as_mut().filter(|cold| cold.is_due(to))
        {
            for stored in cold.take_due(to)? {
                let key = match GroupKey::decode(&mut Reader::new(&stored.key), &self.names) {
                    Ok(key) => Arc::new(key),
                    Err(Damaged { at }) => {
                        let rule_id = "an unknown rule".to_owned();
                        return Err(ColdError::Damaged { rule_id, at });
                    }
                };
                if let Some(plan) = plans.correlations.get(&key.rule_id) {
                    self.thaw(plan, key, &stored.group)?;
                    last = Some((stored.due, stored.level));
                }
            }
        }
        Ok(last)
    }

    /// Puts a group in its place that comes from a snapshot, from disk or from a repair.
    pub(crate) fn adopt(&mut self, plan: &CorrelationPlan, mut group: Group) {
        if let Some(due) = due(plan, &group) {
            group.used = self.passes;
            self.used += group.weight();
            self.due.insert((due, plan.level, group.key().clone()));
            self.groups.insert(group.key().clone(), group);
        }
    }

    /// Takes a group out, wherever it is.
    pub(crate) fn remove(
        &mut self,
        plan: &CorrelationPlan,
        key: &GroupKey,
    ) -> Result<Option<(Arc<GroupKey>, Group)>, ColdError> {
        if !self.groups.contains_key(key) {
            self.warm(plan, key)?;
        }
        let Some((key, group)) = self.groups.remove_entry(key) else {
            return Ok(None);
        };
        self.used -= group.weight();
        if let Some(due) = due(plan, &group) {
            self.due.remove(&(due, plan.level, key.clone()));
        }
        Ok(Some((key, group)))
    }

    /// Takes all groups in memory, whatever the bound: the table is of no use then.
    pub(crate) fn into_groups(self) -> HashMap<Arc<GroupKey>, Group> {
        self.groups
    }

    /// The keys of all groups that the signals of a key make.
    pub(crate) fn keys_of(&self, of: u64, plans: &Plans) -> Result<Vec<GroupKey>, ColdError> {
        let is_of = |key: &GroupKey| {
            let plan = plans.correlations.get(&key.rule_id);
            plan.is_some_and(|plan| plan.key_of(&key.values) == of)
        };
        let groups = self.groups.keys().filter(|key| is_of(key));
        let mut keys: Vec<GroupKey> = groups.map(|key| (**key).clone()).collect();
        let mut after = Vec::new();
        loop {
            let found = self.read_cold(&mut after)?;
            if found.is_empty() {
                return Ok(keys);
            }
            for (bytes, _) in found {
                let key = GroupKey::decode(&mut Reader::new(&bytes), &self.names);
                keys.extend(key.ok().filter(is_of));
            }
        }
    }

    /// Drops the groups of the rules that `is_kept` does not want, and calls `dropped` with the rule of each.
    pub(crate) fn retain(
        &mut self,
        is_kept: impl Fn(&Arc<str>) -> bool,
        mut dropped: impl FnMut(&Arc<str>),
    ) -> Result<(), ColdError> {
        let mut keep = |id: &Arc<str>| {
            let kept = is_kept(id);
            if !kept {
                dropped(id);
            }
            kept
        };
        let used = &mut self.used;
        self.groups.retain(|key, group| {
            let kept = keep(&key.rule_id);
            if !kept {
                *used -= group.weight();
            }
            kept
        });
        self.due.retain(|(_, _, key)| is_kept(&key.rule_id));
        if let Some(cold) = &mut self.cold {
            let names = &self.names;
            let rule = |key: &[u8]| names.get(Reader::new(key).number().ok()?);
            cold.retain(|key| rule(key).is_some_and(&mut keep))?;
        }
        Ok(())
    }

    /// Forgets the groups in memory.
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
        self.due.clear();
        self.used = Weight::default();
    }

    /// A group in memory.
    pub(crate) fn get(&self, key: &GroupKey) -> Option<&Group> {
        self.groups.get(key)
    }

    /// The groups in memory.
    pub(crate) fn iter(&self) -> hash_map::Iter<'_, Arc<GroupKey>, Group> {
        self.groups.iter()
    }

    /// Spilled keys and groups after `after`, in the order of keys; `after` is moved on.
    pub(crate) fn read_cold(&self, after: &mut Vec<u8>) -> Result<Vec<Found>, ColdError> {
        match self.cold.as_ref().filter(|cold| cold.len() > 0) {
            Some(cold) => cold.read_on(after),
            None => Ok(Vec::new()),
        }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.len() + self.cold_len()
    }

    /// How many of them are on disk.
    pub(crate) fn cold_len(&self) -> usize {
        self.cold.as_ref().map_or(0, Cold::len)
    }

    /// What those in memory take.
    pub(crate) fn used(&self) -> Weight {
        self.used
    }

    /// The latest time at which a group in memory is due.
    pub(crate) fn latest_due(&self) -> Option<Timestamp> {
        self.due.iter().map(|(due, ..)| *due).max()
    }

    /// The names that spilled groups refer to.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }
}

/// Gives a group an event, and keeps up what it takes and when it is due.
fn take(
    plan: &CorrelationPlan,
    group: &mut Group,
    (entry, provisional): (Entry, bool),
    (used, passes): (&mut Weight, u32),
    all_due: &mut BTreeSet<Due>,
    mut emit: impl FnMut(&Group, Report),
) {
    let (due, weight) = (self::due(plan, group), group.weight());
    let mut reports = Vec::new();
    group.used = passes;
    group.insert(plan, entry, provisional, &mut reports);
    reports.into_iter().for_each(|report| emit(group, report));
    *used += group.weight();
    *used -= weight;
    let now_due = self::due(plan, group);
    if now_due != due {
        let key = group.key().clone();
        if let Some(due) = due {
            all_due.remove(&(due, plan.level, key.clone()));
        }
        all_due.extend(now_due.map(|due| (due, plan.level, key)));
    }
}

/// When a group is due: its events may come late by what they wait for.
fn due(plan: &CorrelationPlan, group: &Group) -> Option<Timestamp> {
    Some(group.due(plan)?.saturating_add_nanos(plan.lag_nanos))
}
