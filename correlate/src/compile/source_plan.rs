//! What has to be done for an event of one source.

use std::collections::{BTreeMap, BTreeSet};

use casebook_event::ValueRef;

use super::atom::{AtomId, Atoms, Check, FieldIndex};
use super::expression::Expression;
use super::field_scan::FieldScan;
use super::path_index::PathIndex;

/// The rules of one source, and how to find the candidates among them.
#[derive(Debug, Default)]
pub(crate) struct SourcePlan {
    /// The literals of each field, in the order of the fields.
    scans: Vec<(FieldIndex, FieldScan)>,
    /// The fields that are scanned at once, because their literals decide which rules are candidates: those that may have
    /// a normalized value, and those that are only in the source's own record.
    pub(crate) prefilter_fields: Vec<FieldIndex>,
    pub(crate) native_prefilter_fields: Vec<FieldIndex>,
    /// The paths of the latter, with the index of their literals.
    paths: PathIndex,
    /// For each such literal, the rules that it makes candidates.
    pub(crate) rules_by_literal: BTreeMap<AtomId, Vec<usize>>,
    /// The rules that are always candidates.
    pub(crate) always: Vec<usize>,
}

impl SourcePlan {
    /// The plan for `rules`, numbers into `conditions`.
    /// Each rule is a candidate where one of its prefilter literals is found, and always where it has none.
    pub(crate) fn new(
        rules: &[usize],
        conditions: &[Expression],
        prefilters: &[Option<Vec<AtomId>>],
        atoms: &Atoms,
    ) -> Self {
        let mut plan = Self::default();
        let mut used = BTreeSet::new();
        let mut prefilter_fields = BTreeSet::new();
        for &rule in rules {
            collect(&conditions[rule], atoms, &mut used);
            match &prefilters[rule] {
                Some(literals) => {
                    for &id in literals {
                        prefilter_fields.extend(atoms.atom(id).field);
                        plan.rules_by_literal.entry(id).or_default().push(rule);
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
        (plan.native_prefilter_fields, plan.prefilter_fields) = prefilter_fields
            .into_iter()
            .partition(|&field| atoms.field(field).normalized().is_empty() && !atoms.field(field).is_time());
        let paths = plan.native_prefilter_fields.iter().filter_map(|&field| {
            let scan = plan.index_of_scan(field)?;
            Some((atoms.field(field).name(), scan))
        });
        plan.paths = PathIndex::new(paths);
        plan
    }

    fn index_of_scan(&self, field: FieldIndex) -> Option<usize> {
        self.scans.binary_search_by_key(&field, |(field, _)| *field).ok()
    }

    /// The literals of a field.
    pub(crate) fn scan_of(&self, field: FieldIndex) -> Option<&FieldScan> {
        self.index_of_scan(field).map(|at| &self.scans[at].1)
    }

    /// Calls `found` with every value of the native prefilter fields, and their literals.
    pub(crate) fn walk(&self, record: ValueRef<'_>, found: &mut dyn FnMut(&FieldScan, ValueRef<'_>)) {
        self.paths
            .walk(record, &mut |at, value| found(&self.scans[at].1, value));
    }
}

fn collect(expression: &Expression, atoms: &Atoms, used: &mut BTreeSet<AtomId>) {
    match expression {
        Expression::Atom(id) => {
            used.insert(*id);
            used.extend(atoms.atom(*id).prefilter);
        }
        Expression::All(parts) | Expression::Any(parts) => parts.iter().for_each(|part| collect(part, atoms, used)),
        Expression::Not(part) => collect(part, atoms, used),
    }
}
