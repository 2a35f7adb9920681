//! The key of a group, and what groups weigh.

use std::sync::Arc;

use compact_str::CompactString;

use crate::correlation::codec::{Damaged, Names, Reader, put_bytes, put_number};

/// The key of a group: the rule, and the values of its group-by fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupKey {
    pub rule_id: Arc<str>,
    pub values: Vec<CompactString>,
}

impl GroupKey {
    pub(crate) fn encode(&self, out: &mut Vec<u8>, names: &mut Names) {
        put_number(out, names.number(&self.rule_id));
        put_number(out, self.values.len() as u64);
        self.values.iter().for_each(|value| put_bytes(out, value.as_bytes()));
    }

    pub(crate) fn decode(from: &mut Reader<'_>, names: &Names) -> Result<Self, Damaged> {
        let rule_id: Arc<str> = names.get(from.number()?).cloned().ok_or(from.damaged())?;
        let count = from.count()?;
        let values = (0..count).map(|_| from.text()).collect::<Result<_, _>>()?;
        Ok(Self { rule_id, values })
    }
}

/// What groups take in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Weight {
    /// In bytes, about.
    pub bytes: usize,
    pub events: usize,
}

impl std::ops::AddAssign for Weight {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.events += more.events;
    }
}

impl std::ops::SubAssign for Weight {
    /// What is estimated may be estimated otherwise later: it is never less than nothing.
    fn sub_assign(&mut self, less: Self) {
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.events = self.events.saturating_sub(less.events);
    }
}
