//! What an event must have for a rule to be worth a look.

use super::Expression;
use super::atom::{AtomId, Atoms, Check};

/// Literals of which at least one must be true where `expression` is; `None` where no such set is known.
///
/// Of several sets the one is taken that is likely to let the fewest events through.
pub(crate) fn gate(expression: &Expression, atoms: &Atoms) -> Option<Vec<AtomId>> {
    match expression {
        Expression::Atom(id) => {
            let atom = atoms.atom(*id);
            match (&atom.check, atom.gate) {
                (Check::Literal { .. }, _) => Some(vec![*id]),
                (_, gate) => gate.map(|gate| vec![gate]),
            }
        }
        Expression::All(parts) => {
            let sets = parts.iter().filter_map(|part| gate(part, atoms));
            sets.min_by_key(|set| set.iter().map(|id| frequency(*id, atoms)).sum::<usize>())
        }
        Expression::Any(parts) => {
            let mut union = Vec::new();
            for part in parts {
                union.extend(gate(part, atoms)?);
            }
            union.sort_unstable();
            union.dedup();
            Some(union)
        }
        Expression::Not(_) => None,
    }
}

/// How often a literal is likely to be there, beside others: a long text is rarer than a short one.
fn frequency(id: AtomId, atoms: &Atoms) -> usize {
    match &atoms.atom(id).check {
        Check::Literal { text, .. } => 1_000 / text.len().clamp(1, 20),
        _ => 1_000,
    }
}
