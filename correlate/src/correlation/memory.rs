//! Which groups are in memory, and which are on disk.

use std::sync::Arc;

use casebook_event::Timestamp;

use super::codec::{Damaged, Names, Reader};
use super::cold::{Cold, ColdError, Stored, put_key, read_key};
use super::engine::{CorrelationEngine, due};
use super::group::{Group, GroupKey, Weight};
use super::plan::CorrelationPlan;
use crate::limits::MAX_SPILLED_AT_ONCE;

/// What keeps the groups within bounds.
#[derive(Debug)]
pub(super) struct Memory {
    /// What the groups in memory take.
    pub used: Weight,
    pub limit_bytes: usize,
    /// Passes over the groups so far, by which one that was used lately is known.
    pub passes: u32,
    /// Where groups go that do not fit; without it, all stay.
    pub cold: Option<Cold>,
    pub names: Names,
}

impl CorrelationEngine {
    /// Brings a group back that was spilled; whether there was one.
    pub(super) fn warm(&mut self, plan: &CorrelationPlan, key: &GroupKey) -> Result<bool, ColdError> {
        let Some(cold) = self.memory.cold.as_mut().filter(|cold| cold.len() > 0) else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        put_key(&mut bytes, key, &mut self.memory.names);
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
        let group = Group::decode(plan, key.clone(), &mut Reader::new(bytes), &self.memory.names).map_err(damaged)?;
        self.adopt(plan, group);
        Ok(())
    }

    /// Brings the memory down to half of its limit, if it is above: by groups that were not used since the last time, and
    /// by others if these are not enough.
    pub(super) fn spill(&mut self) -> Result<(), ColdError> {
        let Memory {
            used,
            limit_bytes,
            passes,
            cold: Some(cold),
            names,
        } = &mut self.memory
        else {
            return Ok(());
        };
        if used.bytes <= *limit_bytes {
            return Ok(());
        }
        for every in [false, true] {
            let target = *limit_bytes / 2;
            let mut stored = Vec::new();
            let unused = |group: &Group| every || group.used != *passes;
            let taken = self.groups.extract_if(|_, group| {
                let taken = used.bytes > target && unused(group);
                if taken {
                    *used -= group.weight();
                }
                taken
            });
            for (key, group) in taken {
                // A group is always due at some time.
                let Some(plan) = self.plans.correlations.get(&key.rule_id) else {
                    continue;
                };
                let Some(due) = due(plan, &group) else { continue };
                let mut of_key = Vec::new();
                put_key(&mut of_key, &key, names);
                let mut of_group = Vec::new();
                group.encode(&mut of_group, names);
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
        *passes = passes.wrapping_add(1);
        Ok(())
    }

    /// Brings spilled groups back that are due before `to`, the first ones; when the last of them is due, and its level.
    pub(super) fn warm_due(&mut self, to: Timestamp) -> Result<Option<(Timestamp, usize)>, ColdError> {
        let mut last = None;
        while last.is_none()
            && let Some(cold) = self.memory.cold.as_mut().filter(|cold| cold.is_due(to))
        {
            let plans = self.plans.clone();
            for stored in cold.take_due(to)? {
                let key = match read_key(&mut Reader::new(&stored.key), &self.memory.names) {
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

    /// Puts a group in its place that comes from a snapshot or from disk.
    pub(super) fn adopt(&mut self, plan: &CorrelationPlan, mut group: Group) {
        if let Some(due) = due(plan, &group) {
            group.used = self.memory.passes;
            self.memory.used += group.weight();
            self.due.insert((due, plan.level, group.key().clone()));
            self.groups.insert(group.key().clone(), group);
        }
    }

    /// Forgets the groups in memory.
    pub(super) fn forget_groups(&mut self) {
        self.groups.clear();
        self.due.clear();
        self.memory.used = Weight::default();
    }

    /// The names that spilled groups refer to.
    pub(super) fn names(&self) -> &Names {
        &self.memory.names
    }

    pub(super) fn names_mut(&mut self) -> &mut Names {
        &mut self.memory.names
    }

    /// The spilled groups.
    pub(super) fn cold(&self) -> Option<&Cold> {
        self.memory.cold.as_ref()
    }

    /// Brings the memory within its limit, after groups came from a snapshot.
    pub(super) fn settle(&mut self) -> Result<(), ColdError> {
        self.spill()
    }
}
