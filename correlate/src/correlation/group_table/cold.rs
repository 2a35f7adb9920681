//! Groups that do not fit into memory, in an ordered store of bytes that is given from outside.
//!
//! ```text
//! g key              → when it is due, then the group      to find a group by its key
//! d due level key    → nothing                             to find the groups that are due, in the order of time
//! ```

use std::fmt;

use casebook_event::Timestamp;

/// An ordered store of bytes. What is written need not outlive the process: it is a copy of what a snapshot and the signals
/// since then give again.
pub trait ColdStore: fmt::Debug + Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// The store failed.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ColdError>;

    /// Writes values, and removes the keys that have `None`, all or none of them.
    ///
    /// # Errors
    /// The store failed.
    fn write(&mut self, changes: Vec<Change>) -> Result<(), ColdError>;

    /// The first `limit` keys after `after` that begin with `prefix`, in order, with their values.
    ///
    /// # Errors
    /// The store failed.
    fn scan(&self, prefix: u8, after: &[u8], limit: usize) -> Result<Vec<Found>, ColdError>;
}

/// A key, and its new value.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// A key, and its value.
pub type Found = (Vec<u8>, Vec<u8>);

/// What is spilled cannot be written or read. State is not lost by it: it comes back from the last snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColdError {
    /// The store failed.
    #[error("correlation state on disk: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A group came back other than it was written.
    #[error("correlation state on disk: a group of {rule_id} is damaged at byte {at}")]
    Damaged {
        /// Its rule.
        rule_id: String,
        /// Where reading stopped.
        at: usize,
    },
}

const GROUPS: u8 = b'g';
const DUE: u8 = b'd';

/// Groups read in one go.
const CHUNK: usize = 1_024;

/// A group in the form in which it is stored.
pub(crate) struct Stored {
    pub due: Timestamp,
    pub level: usize,
    /// As [`GroupKey::encode`](crate::correlation::group::GroupKey::encode) writes it.
    pub key: Vec<u8>,
    pub group: Vec<u8>,
}

/// The spilled groups.
#[derive(Debug)]
pub(crate) struct Cold {
    store: Box<dyn ColdStore>,
    groups: usize,
    /// No spilled group is due before.
    next_due: Timestamp,
    /// Up to this key of what is due, all were taken: a store that marks what is removed need not be waded through again.
    taken_to: Vec<u8>,
}

fn of_group(key: &[u8]) -> Vec<u8> {
    [&[GROUPS], key].concat()
}

/// In the order of time, of bytes as of numbers.
fn of_due(due: Timestamp, level: usize, key: &[u8]) -> Vec<u8> {
    let ordered = (due.as_nanos() as u64) ^ (1 << 63);
    [&[DUE], ordered.to_be_bytes().as_slice(), &[level as u8], key].concat()
}

impl Cold {
    pub(crate) fn new(store: Box<dyn ColdStore>) -> Self {
        Self {
            store,
            groups: 0,
            next_due: Timestamp::MAX,
            taken_to: Vec::new(),
        }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.groups
    }

    /// Whether a group is due before `time`, or at the end of time.
    pub(crate) fn is_due(&self, time: Timestamp) -> bool {
        self.groups > 0 && (self.next_due < time || time == Timestamp::MAX)
    }

    /// Takes groups over.
    pub(crate) fn put(&mut self, groups: Vec<Stored>) -> Result<(), ColdError> {
        let mut changes = Vec::with_capacity(2 * groups.len());
        for stored in &groups {
            self.next_due = self.next_due.min(stored.due);
            let mut value = stored.due.as_nanos().to_le_bytes().to_vec();
            value.push(stored.level as u8);
            value.extend(&stored.group);
            let of_due = of_due(stored.due, stored.level, &stored.key);
            if of_due <= self.taken_to {
                self.taken_to.clear();
            }
            changes.push((of_group(&stored.key), Some(value)));
            changes.push((of_due, Some(Vec::new())));
        }
        self.store.write(changes)?;
        self.groups += groups.len();
        Ok(())
    }

    /// Gives a group out, if it is here.
    pub(crate) fn take(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, ColdError> {
        if self.groups == 0 {
            return Ok(None);
        }
        let of_group = of_group(key);
        let Some(value) = self.store.get(&of_group)? else {
            return Ok(None);
        };
        let (due, level, group) = split(&value)?;
        self.store
            .write(vec![(of_group, None), (of_due(due, level, key), None)])?;
        self.groups -= 1;
        Ok(Some(group.to_vec()))
    }

    /// Emits the groups that are due first, in order: keys and groups. Those that are due at the same time as the last one
    /// may be left.
    pub(crate) fn take_due(&mut self, before: Timestamp) -> Result<Vec<Stored>, ColdError> {
        let found = self.store.scan(DUE, &self.taken_to, CHUNK)?;
        if found.is_empty() {
            self.groups = 0;
        }
        let (mut taken, mut changes) = (Vec::new(), Vec::new());
        self.next_due = Timestamp::MAX;
        for (of_due, _) in found {
            let (due, level, key) = split_due(&of_due)?;
            if due >= before && before != Timestamp::MAX {
                self.next_due = due;
                break;
            }
            // What is not among those read is not due before the last of them.
            self.next_due = due;
            let of_group = of_group(key);
            let value = self.store.get(&of_group)?;
            self.taken_to.clone_from(&of_due);
            changes.push((of_due.clone(), None));
            if let Some(value) = value {
                taken.push(Stored {
                    due,
                    level,
                    key: key.to_vec(),
                    group: split(&value)?.2.to_vec(),
                });
                changes.push((of_group, None));
            }
        }
        self.store.write(changes)?;
        self.groups -= taken.len();
        Ok(taken)
    }

    /// Keys and groups after `after`, in the order of keys; `after` is moved on.
    pub(crate) fn read_on(&self, after: &mut Vec<u8>) -> Result<Vec<Found>, ColdError> {
        let found = self.store.scan(GROUPS, after, CHUNK)?;
        if let Some((last, _)) = found.last() {
            after.clone_from(last);
        }
        let of_one = |(key, value): Found| {
            let key = key.get(1..).unwrap_or_default().to_vec();
            Ok((key, split(&value)?.2.to_vec()))
        };
        found.into_iter().map(of_one).collect()
    }

    /// Removes what `keep` does not want of the keys.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) -> Result<(), ColdError> {
        let mut after = Vec::new();
        loop {
            let found = self.store.scan(GROUPS, &after, CHUNK)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after.clone_from(last);
            for (key, _) in found {
                let key = key.get(1..).unwrap_or_default();
                if !keep(key) {
                    self.take(key)?;
                }
            }
        }
    }
}

fn split(value: &[u8]) -> Result<(Timestamp, usize, &[u8]), ColdError> {
    let parts = value.split_first_chunk::<8>();
    let parts = parts.and_then(|(due, rest)| Some((due, rest.split_first()?)));
    let (due, (level, group)) = parts.ok_or_else(no_group)?;
    Ok((
        Timestamp::from_nanos(i64::from_le_bytes(*due)),
        usize::from(*level),
        group,
    ))
}

fn split_due(of_due: &[u8]) -> Result<(Timestamp, usize, &[u8]), ColdError> {
    let parts = of_due.get(1..).and_then(|rest| rest.split_first_chunk::<8>());
    let parts = parts.and_then(|(due, rest)| Some((due, rest.split_first()?)));
    let (due, (level, key)) = parts.ok_or_else(no_group)?;
    let due = (u64::from_be_bytes(*due) ^ (1 << 63)) as i64;
    Ok((Timestamp::from_nanos(due), usize::from(*level), key))
}

fn no_group() -> ColdError {
    ColdError::Damaged {
        rule_id: "an unknown rule".to_owned(),
        at: 0,
    }
}
