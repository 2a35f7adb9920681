//! A cold store in memory.

use std::collections::BTreeMap;

use crate::correlation::{Change, ColdError, ColdStore, Found};

#[derive(Debug, Default)]
pub(super) struct MemoryStore(BTreeMap<Vec<u8>, Vec<u8>>);

impl ColdStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ColdError> {
        Ok(self.0.get(key).cloned())
    }

    fn write(&mut self, changes: Vec<Change>) -> Result<(), ColdError> {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }

    fn scan(&self, prefix: u8, after: &[u8], limit: usize) -> Result<Vec<Found>, ColdError> {
        let first = [prefix];
        let from = after.max(&first);
        let later = self.0.range(from.to_vec()..).filter(|(key, _)| key.as_slice() > after);
        let of_prefix = later.take_while(|(key, _)| key.first() == Some(&prefix));
        Ok(of_prefix.take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
    }
}
