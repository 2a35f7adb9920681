//! What has to be done for an event of one source.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::ValueRef;

use super::Expression;
use super::atom::{AtomId, Atoms, Check, FieldIndex};
use super::field_scan::FieldScan;
use super::path_index::PathIndex;

/// The rules of one source, and how to find those worth a look.
#[derive(Debug, Default)]
pub(crate) struct SourcePlan {
    /// The literals of each field, in the order of the fields.
    scans: Vec<(FieldIndex, FieldScan)>,
    /// The fields that are scanned at once, because their literals decide which rules are looked at: those that may have
    /// a normalized value, and those that are only in the source's own record.
    pub(crate) gate_fields: Vec<FieldIndex>,
    pub(crate) native_gate_fields: Vec<FieldIndex>,
    /// The paths of the latter, with the places of their literals.
    paths: PathIndex,
    /// For each such literal, the rules that it calls.
    pub(crate) called_by: BTreeMap<AtomId, Vec<usize>>,
    /// The rules that are always looked at.
    pub(crate) always: Vec<usize>,
}

impl SourcePlan {
    /// The plan for `rules`, numbers into `conditions`.
    /// Each rule is looked at where one of its gates holds, and always where it has none.
    pub(crate) fn new(
        rules: &[usize],
        conditions: &[Expression],
        gates: &[Option<Vec<AtomId>>],
        atoms: &Atoms,
    ) -> Self {
        let mut plan = Self::default();
        let mut used = BTreeSet::new();
        let mut gate_fields = BTreeSet::new();
        for &rule in rules {
            collect(&conditions[rule], atoms, &mut used);
            match &gates[rule] {
                Some(gates) => {
                    for &id in gates {
                        gate_fields.extend(atoms.atom(id).field);
                        plan.called_by.entry(id).or_default().push(rule);
                    }
                }
                None => plan.always.push(rule),
            }
        }
        let mut literals: BTreeMap<FieldIndex, Vec<_>> = BTreeMap::new();
        for id in used {
            let atom = atoms.atom(id);
            if let (Check::Literal { relation, text }, Some(field)) = (&atom.check, atom.field) {
                literals.entry(field).or_default().push((text.clone(), *relation, id));
            }
        }
        plan.scans = literals
            .into_iter()
            .map(|(field, literals)| (field, FieldScan::new(literals)))
            .collect();
        (plan.native_gate_fields, plan.gate_fields) = gate_fields
            .into_iter()
            .partition(|&field| atoms.field(field).normalized().is_empty() && !atoms.field(field).is_time());
        let paths = plan.native_gate_fields.iter().filter_map(|&field| {
            let scan = plan.place_of_scan(field)?;
            Some((atoms.field(field).name(), scan))
        });
        plan.paths = PathIndex::new(paths);
        plan
    }

    fn place_of_scan(&self, field: FieldIndex) -> Option<usize> {
        self.scans.binary_search_by_key(&field, |(field, _)| *field).ok()
    }

    /// The literals of a field.
    pub(crate) fn scan_of(&self, field: FieldIndex) -> Option<&FieldScan> {
        self.place_of_scan(field).map(|at| &self.scans[at].1)
    }

    /// Calls `found` with every value of the native gate fields, and their literals.
    pub(crate) fn walk(&self, record: ValueRef<'_>, found: &mut dyn FnMut(&FieldScan, ValueRef<'_>)) {
        self.paths
            .walk(record, &mut |place, value| found(&self.scans[place].1, value));
    }
}

fn collect(expression: &Expression, atoms: &Atoms, used: &mut BTreeSet<AtomId>) {
    match expression {
        Expression::Atom(id) => {
            used.insert(*id);
            used.extend(atoms.atom(*id).gate);
        }
        Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| collect(part, atoms, used)),
        Expression::Not(part) => collect(part, atoms, used),
    }
}
