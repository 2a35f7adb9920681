//! The literals that an event must have for a rule to be a candidate.

use super::atom::{AtomId, Atoms, Check};
use super::expression::Expression;

/// Literals of which at least one must be true where `expression` is; `None` where no such set is known.
///
/// Of several sets the one is taken that is likely to let the fewest events through.
pub(super) fn prefilter(expression: &Expression, atoms: &Atoms) -> Option<Vec<AtomId>> {
    match expression {
        Expression::Atom(id) => {
            let atom = atoms.atom(*id);
            match (&atom.check, atom.prefilter) {
                (Check::Literal { .. }, _) => Some(vec![*id]),
                (_, literal) => literal.map(|literal| vec![literal]),
            }
        }
        Expression::All(parts) => {
            let sets = parts.iter().filter_map(|part| prefilter(part, atoms));
            sets.min_by_key(|set| set.iter().map(|id| frequency(*id, atoms)).sum::<usize>())
        }
        Expression::Any(parts) => {
            let mut union = Vec::new();
            for part in parts {
                union.extend(prefilter(part, atoms)?);
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
