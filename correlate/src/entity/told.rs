//! Which bindings were told already: logs tell the same thing again and again.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use casebook_event::{Binding, Timestamp};

use super::limits::{FINE_GRAIN_NANOS, MAX_TOLD};

/// The bindings of late, by hash, with the earliest time of each that was told in its grain of time.
#[derive(Debug, Default)]
pub struct Told {
    earliest: HashMap<u64, Timestamp>,
    hasher: RandomState,
}

impl Told {
    /// Whether a binding says what was not said before. [`Bindings`](super::Bindings) keep the earliest of a grain of time, so
    /// an earlier one is news, and a later one of the same grain is none.
    pub fn is_news(&mut self, binding: &Binding) -> bool {
        let grain = binding.time.as_nanos().div_euclid(FINE_GRAIN_NANOS);
        let Binding {
            from,
            to,
            ends,
            how,
            confidence,
            ..
        } = binding;
        let what = self.hasher.hash_one((from, to, ends, how, confidence, grain));
        if self.earliest.len() >= MAX_TOLD {
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
