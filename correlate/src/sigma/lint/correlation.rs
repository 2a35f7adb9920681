//! Conditions of correlations that every window meets, or none.

use crate::diagnostic::{Mark, Report, code};
use crate::sigma::correlation::{CorrelationKind, Which};

/// What can be said of a condition before any event is seen.
pub(super) fn lint(kind: &CorrelationKind, members: usize, mark: Mark, report: &mut Report<'_>) {
    let never = "no window of at least one event meets the condition";
    match kind {
        CorrelationKind::EventCount(condition) | CorrelationKind::ValueCount(condition) => {
            if condition.first_count().is_none() {
                report.add(code::NEVER_TRUE, mark, never);
            } else if condition.is_monotone() && condition.holds_of_count(1) {
                let help = "a count of one is what the base rule already tells";
                report.add_help(code::ALWAYS_TRUE, mark, "a single event meets the condition", help);
            }
        }
        CorrelationKind::Temporal(together) => {
            // Some rule has an event, or there is no window.
            let counts = 1..=members as u64;
            let (mut ever, mut always) = (false, true);
            let mut note = |holds: bool| {
                ever |= holds;
                always &= holds;
            };
            match &together.which {
                Which::Rules(condition) => counts.for_each(|count| note(condition.holds_of_count(count))),
                // More members than that are too many combinations to try.
                Which::Expression(_) if members > 12 => return,
                Which::Expression(_) => (1u64..1 << members).for_each(|set| note(together.holds_with(set))),
            }
            if !ever {
                report.add(code::NEVER_TRUE, mark, never);
            } else if always {
                report.add(
                    code::ALWAYS_TRUE,
                    mark,
                    "a single event of any of the rules meets the condition",
                );
            }
        }
        _ => {}
    }
}
