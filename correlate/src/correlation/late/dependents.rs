//! Which keys have events that were attributed by what is known of an identifier, and when these were: what is learned of it later finds
//! the groups that it may change.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use casebook_event::{Identifier, Timestamp};
use xxhash_rust::xxh3::Xxh3;

use crate::correlation::codec::{Damaged, Reader, put_bytes, put_number, put_signed};
use crate::limits::MAX_DEPENDENTS;

/// The keys of which events were attributed by what an identifier stood for.
///
/// Bounded: beyond [`MAX_DEPENDENTS`], the older half is forgotten, and [`Dependents::complete_since`] says from when on nothing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependents {
    by_identifier: HashMap<u64, Vec<Dependent>>,
    /// One of the correlations of each key.
    rules: HashMap<u64, Arc<str>>,
    len: usize,
    complete_since: Timestamp,
}

/// The events of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dependent {
    /// [`casebook_event::Signal::key`].
    pub key: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Dependents {
    /// None, where it is not known who depended on what before a time.
    pub(crate) fn since(complete_since: Timestamp) -> Self {
        Self {
            by_identifier: HashMap::new(),
            rules: HashMap::new(),
            len: 0,
            complete_since,
        }
    }

    /// Takes note of an event at `time` that was attributed by what is known of these identifiers.
    pub(crate) fn note(&mut self, (key, rule_id): (u64, &Arc<str>), identifiers: &[u64], time: Timestamp) {
        if !identifiers.is_empty() {
            // The last one: a rule that is gone notes nothing any more.
            self.rules.insert(key, rule_id.clone());
        }
        for identifier in identifiers {
            let by = Dependent {
                key,
                first: time,
                last: time,
            };
            self.put(*identifier, by);
        }
        self.make_room();
    }

    fn put(&mut self, identifier: u64, by: Dependent) {
        let all = self.by_identifier.entry(identifier).or_default();
        match all.iter_mut().find(|known| known.key == by.key) {
            Some(known) => {
                known.first = by.first.min(known.first);
                known.last = by.last.max(known.last);
            }
            None => {
                all.push(by);
                self.len += 1;
            }
        }
    }

    /// Takes in what another has noted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (identifier, all) in &other.by_identifier {
            for by in all {
                self.put(*identifier, *by);
            }
        }
        let rules = other.rules.iter().map(|(key, rule)| (*key, rule.clone()));
        self.rules.extend(rules);
        self.complete_since = other.complete_since.max(self.complete_since);
        self.make_room();
    }

    /// Whose events were attributed by what an identifier stood for, each with one of its correlations.
    pub(crate) fn of(&self, identifier: &Identifier) -> impl Iterator<Item = (Dependent, &Arc<str>)> {
        let all = self.by_identifier.get(&number_of(identifier)).into_iter().flatten();
        all.filter_map(|by| Some((*by, self.rules.get(&by.key)?)))
    }

    /// From when on nothing is forgotten.
    pub(crate) fn complete_since(&self) -> Timestamp {
        self.complete_since
    }

    /// Forgets what was before a time.
    pub(crate) fn forget_before(&mut self, time: Timestamp) {
        let mut keys = BTreeSet::new();
        self.by_identifier.retain(|_, all| {
            all.retain(|by| by.last >= time);
            keys.extend(all.iter().map(|by| by.key));
            !all.is_empty()
        });
        self.rules.retain(|key, _| keys.contains(key));
        self.len = self.by_identifier.values().map(Vec::len).sum();
    }

    fn make_room(&mut self) {
        if self.len <= MAX_DEPENDENTS {
            return;
        }
        let mut lasts: Vec<Timestamp> = self.by_identifier.values().flatten().map(|by| by.last).collect();
        let middle = lasts.len() / 2;
        let (_, middle, _) = lasts.select_nth_unstable(middle);
        let since = middle.saturating_add_nanos(1);
        self.complete_since = since.max(self.complete_since);
        self.forget_before(since);
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_signed(out, self.complete_since.as_nanos());
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_unstable();
        put_number(out, rules.len() as u64);
        let mut numbers = HashMap::new();
        for (number, (key, rule)) in rules.into_iter().enumerate() {
            numbers.insert(*key, number as u64);
            out.extend(key.to_le_bytes());
            put_bytes(out, rule.as_bytes());
        }
        let mut all: Vec<_> = self
            .by_identifier
            .iter()
            .flat_map(|(identifier, all)| all.iter().map(|by| (*identifier, *by)))
            .collect();
        all.sort_unstable_by_key(|(identifier, by)| (*identifier, by.key));
        put_number(out, all.len() as u64);
        let mut before = 0;
        for (identifier, by) in all {
            put_number(out, identifier - before);
            put_number(out, numbers.get(&by.key).copied().unwrap_or_default());
            put_signed(out, by.first.as_nanos());
            put_number(
                out,
                by.last.as_nanos().saturating_sub(by.first.as_nanos()).unsigned_abs(),
            );
            before = identifier;
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut dependents = Self::since(from.time()?);
        let mut keys = Vec::new();
        for _ in 0..from.count()? {
            let bytes = from.take(8)?;
            let key = u64::from_le_bytes(bytes.try_into().map_err(|_| from.damaged())?);
            let rule = from.text()?;
            dependents.rules.insert(key, Arc::from(rule.as_str()));
            keys.push(key);
        }
        let mut identifier = 0u64;
        for _ in 0..from.count()? {
            identifier = identifier.checked_add(from.number()?).ok_or(from.damaged())?;
            let number = usize::try_from(from.number()?).map_err(|_| from.damaged())?;
            let key = *keys.get(number).ok_or(from.damaged())?;
            let first = from.time()?;
            let nanos = i64::try_from(from.number()?).map_err(|_| from.damaged())?;
            let last = first.saturating_add_nanos(nanos);
            dependents.put(identifier, Dependent { key, first, last });
        }
        Ok(dependents)
    }
}

/// A number for an identifier. Two may have the same: then one group more is repaired.
pub(crate) fn number_of(identifier: &Identifier) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&[identifier.kind as u8]);
    for text in [&identifier.cluster, &identifier.value] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use casebook_event::IdentifierKind;

    use super::*;

    fn id(n: usize) -> Identifier {
        Identifier::new(IdentifierKind::PodName, &format!("shop/web-{n}")).unwrap()
    }

    fn at(seconds: usize) -> Timestamp {
        Timestamp::from_seconds(seconds as i64)
    }

    fn of(dependents: &Dependents, n: usize) -> Vec<(u64, Timestamp, Timestamp)> {
        let id = id(n);
        dependents.of(&id).map(|(by, _)| (by.key, by.first, by.last)).collect()
    }

    #[test]
    fn what_was_asked_is_found_by_identifier_and_comes_back_from_bytes() {
        let rule: Arc<str> = Arc::from("r");
        let mut dependents = Dependents::since(Timestamp::MIN);
        for (key, n, seconds) in [(1, 7, 50), (1, 7, 10), (2, 7, 20), (1, 8, 30)] {
            dependents.note((key, &rule), &[number_of(&id(n))], at(seconds));
        }
        assert_eq!(of(&dependents, 7), [(1, at(10), at(50)), (2, at(20), at(20))]);
        assert_eq!(of(&dependents, 9), []);
        let mut bytes = Vec::new();
        dependents.encode(&mut bytes);
        assert_eq!(
            Dependents::decode(&mut Reader::new(&bytes)).ok(),
            Some(dependents.clone())
        );
        for end in 0..bytes.len() {
            assert!(Dependents::decode(&mut Reader::new(&bytes[..end])).is_err(), "{end}");
        }
        dependents.forget_before(at(30));
        assert_eq!(of(&dependents, 7), [(1, at(10), at(50))]);
        assert_eq!(
            dependents.complete_since(),
            Timestamp::MIN,
            "nobody asks for what is settled"
        );
    }

    #[test]
    fn beyond_its_bound_the_older_half_goes_and_that_is_known() {
        let rule: Arc<str> = Arc::from("r");
        let mut dependents = Dependents::since(Timestamp::MIN);
        for n in 0..=MAX_DEPENDENTS {
            dependents.note((1, &rule), &[number_of(&id(n))], at(n));
        }
        assert!(dependents.len <= MAX_DEPENDENTS / 2 + 1, "{}", dependents.len);
        assert_eq!(
            dependents.complete_since(),
            at(MAX_DEPENDENTS / 2).saturating_add_nanos(1)
        );
        assert_eq!(of(&dependents, MAX_DEPENDENTS / 2), []);
        assert_eq!(of(&dependents, MAX_DEPENDENTS / 2 + 1).len(), 1);
        let mut all = Dependents::since(Timestamp::MIN);
        all.merge(&dependents);
        assert_eq!(all.complete_since(), dependents.complete_since());
    }
}
