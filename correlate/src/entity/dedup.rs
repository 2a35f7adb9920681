//! Which bindings were emitted already: logs report the same thing again and again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use casebook_event::{Binding, Timestamp};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::limits::{FINE_GRAIN_NANOS, MAX_EMITTED};

/// The bindings of late, by hash, with the earliest time of each that was emitted in its grain of time.
#[derive(Debug)]
pub struct BindingDedup {
    earliest: HashMap<u64, Timestamp>,
    /// Drawn by lot: nobody can make two bindings pass for one.
    seed: u64,
    what: Vec<u8>,
}

impl Default for BindingDedup {
    fn default() -> Self {
        Self {
            earliest: HashMap::new(),
            seed: RandomState::new().hash_one(0),
            what: Vec::new(),
        }
    }
}

impl BindingDedup {
    /// Whether a binding reports what was not emitted before. [`Bindings`](super::Bindings) keep the earliest of a grain of time, so
    /// an earlier one is new, and a later one of the same grain is not.
    pub fn is_new(&mut self, binding: &Binding) -> bool {
        let grain = binding.time.as_nanos().div_euclid(FINE_GRAIN_NANOS);
        let Binding { from, to, .. } = binding;
        self.what.clear();
        self.what.extend(grain.to_le_bytes());
        self.what.extend([
            from.kind as u8,
            to.kind as u8,
            binding.how as u8,
            binding.confidence as u8,
            u8::from(binding.ends),
        ]);
        // None has more than 512 bytes.
        for text in [&from.cluster, &from.value, &to.cluster, &to.value] {
            self.what.extend((text.len() as u16).to_le_bytes());
            self.what.extend(text.as_bytes());
        }
        let what = xxh3_64_with_seed(&self.what, self.seed);
        if self.earliest.len() >= MAX_EMITTED {
            self.earliest.clear();
        }
        match self.earliest.get_mut(&what) {
            Some(earliest) if *earliest <= binding.time => false,
            Some(earliest) => {
                *earliest = binding.time;
                true
            }
            None => {
                self.earliest.insert(what, binding.time);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::{Confidence, How, Identifier, IdentifierKind};

    use super::*;

    #[test]
    fn only_what_bindings_would_keep_is_new() {
        let binding = |pod: &str, seconds: i64| Binding {
            from: Identifier::new(IdentifierKind::PodIp, "10.0.0.1").unwrap(),
            to: Identifier::new(IdentifierKind::PodUid, pod).unwrap(),
            time: Timestamp::from_seconds(seconds),
            ends: false,
            how: How::AuditPodStatus,
            confidence: Confidence::Certain,
        };
        let mut dedup = BindingDedup::default();
        assert!(dedup.is_new(&binding("u1", 100)));
        assert!(!dedup.is_new(&binding("u1", 100)));
        assert!(!dedup.is_new(&binding("u1", 200)));
        assert!(dedup.is_new(&binding("u1", 50)), "it holds from there on");
        assert!(dedup.is_new(&binding("u1", 400)), "another grain of time");
        assert!(dedup.is_new(&binding("u2", 100)));
        assert!(dedup.is_new(&Binding {
            ends: true,
            ..binding("u1", 100)
        }));
        let of_prod = binding("u1", 100).from.within("prod");
        assert!(dedup.is_new(&Binding {
            from: of_prod,
            ..binding("u1", 100)
        }));
    }
}
