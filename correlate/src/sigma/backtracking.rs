//! Regular expressions that take exponential time in engines that backtrack.
//!
//! Ours does not: it is linear in the text whatever the expression. But a Sigma rule is written to be shared.

use regex_syntax::hir::{Hir, HirKind};

/// Whether a repetition without end directly repeats another one, as `(a+)+` does: a text can then be split between the
/// two in exponentially many ways.
pub(super) fn is_catastrophic(source: &str) -> bool {
    regex_syntax::parse(source).is_ok_and(|expression| visit(&expression))
}

// The depth is that of the expression, which was compiled before under `MAX_REGEX_DEPTH`.
fn visit(expression: &Hir) -> bool {
    match expression.kind() {
        HirKind::Repetition(repetition) => {
            (repetition.max.is_none() && ends_open(&repetition.sub)) || visit(&repetition.sub)
        }
        HirKind::Capture(capture) => visit(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(visit),
        _ => false,
    }
}

/// Whether all that is repeated is, in one of its alternatives, itself a repetition without end.
fn ends_open(expression: &Hir) -> bool {
    match expression.kind() {
        HirKind::Repetition(repetition) => repetition.max.is_none(),
        HirKind::Capture(capture) => ends_open(&capture.sub),
        HirKind::Alternation(parts) => parts.iter().any(ends_open),
        HirKind::Concat(parts) => {
            // What lies beside it may be empty, as in `(a+b?)+`.
            let mut open = false;
            for part in parts {
                match part.properties().minimum_len() {
                    _ if ends_open(part) => open = true,
                    Some(0) => {}
                    _ => return false,
                }
            }
            open
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_of_repetitions() {
        let check = |source: &str, want: bool| assert_eq!(is_catastrophic(source), want, "{source}");
        check("(a+)+", true);
        check("(?:a*)*b", true);
        check("x(?:[a-z]+|y)+z", true);
        check("(a+b?)+", true);
        check("(a|b+)*", true);
        check("(a+b)+", false);
        check("[a-z]+\\.[a-z]+", false);
        check("(?:/[^/]+)+", false);
        check("(a{2})+", false);
        check("a+", false);
    }
}
