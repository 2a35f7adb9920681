//! Who stands for what no longer once it has ended: an end that is reported late is found by it.

use std::collections::{BTreeSet, HashMap};

use super::Identifier;
use super::relation::relation;

/// By what may end, the identifiers that stood for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending {
    leading: HashMap<Identifier, BTreeSet<Identifier>>,
    /// About how much memory it takes.
    bytes: usize,
}

impl Ending {
    /// Takes note that `from` stood for `to`, if it does so no longer once that has ended.
    pub(super) fn note(&mut self, from: &Identifier, to: &Identifier) {
        if ends_with(from, to) && self.leading.entry(to.clone()).or_default().insert(from.clone()) {
            self.bytes += bytes_of(from, to);
        }
    }

    /// Nothing is known any more of `from` and `to`.
    pub(super) fn forget(&mut self, from: &Identifier, to: &Identifier) {
        let Some(leading) = self.leading.get_mut(to) else {
            return;
        };
        if leading.remove(from) {
            self.bytes -= bytes_of(from, to);
        }
        if leading.is_empty() {
            self.leading.remove(to);
        }
    }

    /// Who stood for it.
    pub(super) fn of(&self, to: &Identifier) -> impl Iterator<Item = &Identifier> {
        self.leading.get(to).into_iter().flatten()
    }

    pub(super) fn approximate_bytes(&self) -> usize {
        self.bytes
    }
}

/// As if no other had the same `to`: most have not.
fn bytes_of(from: &Identifier, to: &Identifier) -> usize {
    let node = 2 * size_of::<Identifier>() + size_of::<BTreeSet<Identifier>>();
    node * 8 / 7 + text_bytes_of(from) + text_bytes_of(to)
}

/// Whether what `from` stands for ends with it.
fn ends_with(from: &Identifier, to: &Identifier) -> bool {
    from != to && relation(from, to).is_some_and(|relation| relation.ends_with_to)
}

/// The bytes of an identifier's texts.
pub(super) fn text_bytes_of(id: &Identifier) -> usize {
    id.value.len() + id.cluster.len()
}
