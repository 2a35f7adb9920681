//! What has to be done for an event of one source.

use std::collections::{BTreeMap, BTreeSet};

use super::Expression;
use super::atom::{AtomId, Atoms, Check, FieldIndex};
use super::field_scan::FieldScan;
use super::gate::gate;

/// The rules of one source, and how to find those worth a look.
#[derive(Debug, Default)]
pub(crate) struct SourcePlan {
    /// The literals of each field.
    pub(crate) scans: BTreeMap<FieldIndex, FieldScan>,
    /// The fields that are scanned at once, because their literals decide which rules are looked at.
    pub(crate) gate_fields: Vec<FieldIndex>,
    /// For each such literal, the rules that it calls.
    pub(crate) called_by: BTreeMap<AtomId, Vec<usize>>,
    /// The rules that are always looked at.
    pub(crate) always: Vec<usize>,
}

impl SourcePlan {
    /// The plan for `rules`, numbers into `conditions`.
    pub(crate) fn new(rules: &[usize], conditions: &[Expression], atoms: &Atoms) -> Self {
        let mut plan = Self::default();
        let mut used = BTreeSet::new();
        let mut gate_fields = BTreeSet::new();
        for &rule in rules {
            collect(&conditions[rule], atoms, &mut used);
            match gate(&conditions[rule], atoms) {
                Some(gates) => {
                    for id in gates {
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
        plan.gate_fields = gate_fields.into_iter().collect();
        plan.scans = literals
            .into_iter()
            .map(|(field, literals)| (field, FieldScan::new(literals)))
            .collect();
        plan
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
