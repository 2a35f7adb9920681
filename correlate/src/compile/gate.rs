//! What an event must have for a rule to be worth a look.

use super::Expression;
use super::atom::{AtomId, Atoms, Check};

/// Literals of which at least one must be true where `expression` is; `None` where no such set is known.
///
/// Of several sets the smallest is taken: it lets the fewest events through.
pub(crate) fn gate(expression: &Expression, atoms: &Atoms) -> Option<Vec<AtomId>> {
    match expression {
        Expression::Atom(id) => {
            let atom = atoms.atom(*id);
            match (&atom.check, atom.gate) {
                (Check::Literal { .. }, _) => Some(vec![*id]),
                (_, gate) => gate.map(|gate| vec![gate]),
            }
        }
        Expression::All(parts) => parts.iter().filter_map(|part| gate(part, atoms)).min_by_key(Vec::len),
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
