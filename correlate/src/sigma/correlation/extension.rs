//! What a correlation says under `casebook:`: types that Sigma does not have, and counts inside a condition.
//!
//! Each is written beside a type of Sigma that a tool without it can still run: it then reports more, never the contrary.

use casebook_event::EntityKind;

use super::comparison::{Comparator, Comparisons, Fixed};
use super::kind::{Clusters, CorrelationKind, Deviation, FirstSeen, Measure, Statistic, Together, Which};
use super::reference::{Reference, reference};
use super::timespan::duration;
use crate::diagnostic::{Report, code};
use crate::limits::{MAX_CORRELATION_MEMBERS, MAX_DEVIATION_SPANS};
use crate::sigma::condition::Condition;
use crate::sigma::yaml::{Entry, Node};

/// The keys under `casebook:` that belong to a correlation, and are part of what it means.
pub(crate) const KEYS: [&str; 6] = ["absence", "counts", "first_seen", "deviation", "group-by", "clusters"];

/// Those that are types.
const TYPES: [&str; 3] = ["absence", "first_seen", "deviation"];

/// The section's keys, as they are written.
pub(super) struct Extension<'a> {
    counts: Option<&'a Entry>,
    /// Of the types, the one that is named.
    kind: Option<&'a Entry>,
    group_by: Option<&'a Entry>,
    clusters: Option<&'a Entry>,
}

impl<'a> Extension<'a> {
    pub(super) fn read(section: Option<&'a Node>, report: &mut Report<'_>) -> Self {
        let entry = |key: &str| section.and_then(|node| node.entry(key));
        let mut kinds = TYPES.iter().filter_map(|key| entry(key));
        let kind = kinds.next();
        if let (Some(first), Some(second)) = (kind, kinds.next()) {
            let message = format!("a correlation has one type: `{}` or `{}`", first.key, second.key);
            report.add(code::BAD_VALUE, second.mark, message);
        }
        Self {
            counts: entry("counts"),
            kind,
            group_by: entry("group-by"),
            clusters: entry("clusters"),
        }
    }

    /// Whether it says that it takes events of any cluster together, or not; an error is reported.
    pub(super) fn clusters(&self, report: &mut Report<'_>) -> Option<Clusters> {
        let entry = self.clusters?;
        match entry.value.scalar_text() {
            Some("each") => Some(Clusters::Each),
            Some("any") => Some(Clusters::Any),
            _ => {
                let help =
                    "`each` keeps the events of every cluster for themselves, as without it; `any` takes them together";
                report.add_help(code::BAD_VALUE, entry.value.mark, "`clusters` is each or any", help);
                None
            }
        }
    }

    /// The kind of entity that it groups by; an error is reported.
    pub(super) fn entity(&self, report: &mut Report<'_>) -> Option<EntityKind> {
        let entry = self.group_by?;
        known_keys(entry, &["entity"], report)?;
        let named = entry
            .value
            .entry("entity")
            .and_then(|entity| entity.value.scalar_text());
        let found = EntityKind::ALL.iter().find(|kind| Some(kind.name()) == named);
        if found.is_none() {
            let names: Vec<_> = EntityKind::ALL.iter().map(|kind| kind.name()).collect();
            let message = format!("`entity` is one of {}", names.join(", "));
            report.add(code::BAD_VALUE, entry.value.mark, message);
        }
        found.copied()
    }

    /// How many events each of these rules must have, and `None` if that is an error.
    pub(super) fn counts(&self, rules: &[Reference], report: &mut Report<'_>) -> Option<Vec<Comparisons>> {
        let mut counts = vec![Comparisons::at_least(1); rules.len()];
        let Some(entry) = self.counts else { return Some(counts) };
        let Some(entries) = entry.value.entries() else {
            let message = format!(
                "`counts` maps rules to numbers, such as `failed: 5`, not {}",
                entry.value.kind()
            );
            report.add(code::BAD_SHAPE, entry.value.mark, message);
            return None;
        };
        for count in entries {
            let named: Vec<usize> = (0..rules.len()).filter(|&at| rules[at].rule == count.key).collect();
            if named.is_empty() {
                let message = format!("the correlation is not about a rule `{}`", count.key);
                report.add(code::BAD_CONDITION, count.mark, message);
                return None;
            }
            let comparisons = match count.value.entries() {
                None => Comparisons::of(vec![(
                    Comparator::Gte,
                    Comparisons::parse_number(&count.value, true, report)?,
                )]),
                Some(entries) => Comparisons::of(
                    entries
                        .iter()
                        .map(|entry| comparison(entry, report))
                        .collect::<Option<_>>()?,
                ),
            };
            if comparisons.holds_of_count(0) || comparisons.first_count().is_none() {
                let message = "a count must ask for at least one event, and be possible";
                report.add_help(
                    code::BAD_CONDITION,
                    count.value.mark,
                    message,
                    "what must not be there is a `not` in the condition",
                );
                return None;
            }
            named.into_iter().for_each(|at| counts[at] = comparisons.clone());
        }
        Some(counts)
    }

    /// Says that a type has no use for counts.
    pub(super) fn refuse_counts(&self, kind: &str, report: &mut Report<'_>) {
        if let Some(entry) = self.counts {
            let message =
                format!("`{kind}` counts by its `condition`; `counts` is for `temporal` and `temporal_ordered`");
            report.add(code::BAD_CONDITION, entry.mark, message);
        }
    }

    /// Makes of a type of Sigma the one that is named, with the rules that it is about then.
    pub(super) fn refine(
        &self,
        kind: CorrelationKind,
        rules: &[Reference],
        timespan_nanos: i64,
        report: &mut Report<'_>,
    ) -> Option<(CorrelationKind, Option<Vec<Reference>>)> {
        let Some(entry) = self.kind else {
            return Some((kind, None));
        };
        match (entry.key.as_str(), kind) {
            ("absence", CorrelationKind::EventCount(condition)) => absence(entry, condition, rules, report),
            ("first_seen", CorrelationKind::ValueCount(condition))
                if condition.is_monotone() && condition.holds_of_count(1) =>
            {
                Some((first_seen(entry, timespan_nanos, report)?, None))
            }
            ("deviation", CorrelationKind::EventCount(least)) => {
                let deviation = deviation(entry, Measure::Events, least, timespan_nanos, report)?;
                Some((CorrelationKind::Deviation(deviation), None))
            }
            ("deviation", CorrelationKind::Value(Statistic::Sum, least)) => {
                let deviation = deviation(entry, Measure::Sum, least, timespan_nanos, report)?;
                Some((CorrelationKind::Deviation(deviation), None))
            }
            (key, _) => {
                let wanted = match key {
                    "absence" => "`event_count`",
                    "first_seen" => "`value_count` with `gte: 1`",
                    _ => "`event_count` or `value_sum`",
                };
                let message = format!("`{key}` is written beside a correlation of type {wanted}");
                report.add(code::BAD_VALUE, entry.mark, message);
                None
            }
        }
    }
}

fn comparison(entry: &Entry, report: &mut Report<'_>) -> Option<(Comparator, Fixed)> {
    let Some(comparator) = Comparator::of(&entry.key) else {
        let message = format!("a count cannot be compared by `{}`", entry.key);
        let help = "it takes gt, gte, lt, lte, eq, neq";
        report.add_help(code::BAD_CONDITION, entry.mark, message, help);
        return None;
    };
    Some((comparator, Comparisons::parse_number(&entry.value, true, report)?))
}

/// So many events of the rules, and none of those that are absent.
fn absence(
    entry: &Entry,
    condition: Comparisons,
    rules: &[Reference],
    report: &mut Report<'_>,
) -> Option<(CorrelationKind, Option<Vec<Reference>>)> {
    let absent: Vec<Reference> = entry
        .value
        .one_or_many()
        .iter()
        .map(|node| reference(node, report))
        .collect::<Option<_>>()?;
    if absent.is_empty() || rules.len() + absent.len() > MAX_CORRELATION_MEMBERS {
        let message =
            format!("`absence` names the rules that do not follow: 1 to {MAX_CORRELATION_MEMBERS} with the others");
        report.add(code::TOO_MANY, entry.value.mark, message);
        return None;
    }
    if let Some(both) = absent.iter().find(|one| rules.iter().any(|rule| rule.rule == one.rule)) {
        let message = format!("`{}` cannot be there and be absent", both.rule);
        report.add(code::BAD_VALUE, both.mark, message);
        return None;
    }
    // Events of several rules are counted together by `event_count`, and one by one here.
    if condition.holds_of_count(0) || (rules.len() > 1 && condition != Comparisons::at_least(1)) {
        let message = "`absence` waits after an event of one of several rules (`gte: 1`), or after so many of one rule";
        report.add(code::BAD_CONDITION, entry.mark, message);
        return None;
    }
    let mut counts = vec![condition; rules.len()];
    counts.resize(rules.len() + absent.len(), Comparisons::at_least(1));
    let any = |range: std::ops::Range<usize>| Condition::Any(range.map(Condition::Selection).collect());
    let (there, missing) = (any(0..rules.len()), any(rules.len()..counts.len()));
    let together = Together {
        which: Which::Expression(Condition::All(vec![there, Condition::Not(Box::new(missing))])),
        counts,
    };
    let rules = rules.iter().cloned().chain(absent).collect();
    Some((CorrelationKind::Absence(together), Some(rules)))
}

fn first_seen(entry: &Entry, timespan_nanos: i64, report: &mut Report<'_>) -> Option<CorrelationKind> {
    known_keys(entry, &["learn"], report)?;
    let learn_nanos = match entry.value.entry("learn") {
        None => timespan_nanos / 4,
        Some(learn) => duration(learn, report)?,
    };
    if learn_nanos > timespan_nanos {
        let message = "what is known is forgotten after `timespan`: `learn` cannot be longer";
        report.add(code::BAD_TIMESPAN, entry.value.mark, message);
        return None;
    }
    Some(CorrelationKind::FirstSeen(FirstSeen { learn_nanos }))
}

fn deviation(
    entry: &Entry,
    measure: Measure,
    least: Comparisons,
    timespan_nanos: i64,
    report: &mut Report<'_>,
) -> Option<Deviation> {
    known_keys(entry, &["history", "learn", "factor"], report)?;
    let spans = |key: &str, report: &mut Report<'_>| match entry.value.entry(key) {
        None => Some(None),
        Some(found) => Some(Some(duration(found, report)? / timespan_nanos)),
    };
    let Some(history_spans) = spans("history", report)?.filter(|spans| (2..=MAX_DEVIATION_SPANS).contains(spans))
    else {
        let message = format!("`deviation` needs a `history` of 2 to {MAX_DEVIATION_SPANS} times the `timespan`");
        report.add(code::BAD_TIMESPAN, entry.value.mark, message);
        return None;
    };
    let learn_spans = spans("learn", report)?.unwrap_or(history_spans);
    if !(1..=history_spans).contains(&learn_spans) {
        let message = "`learn` is at least one `timespan`, and not longer than `history`";
        report.add(code::BAD_TIMESPAN, entry.value.mark, message);
        return None;
    }
    let factor = match entry.value.entry("factor") {
        None => Fixed::from_count(3),
        Some(factor) => Comparisons::parse_number(&factor.value, false, report)?,
    };
    if factor < Fixed::default() {
        report.add(code::BAD_VALUE, entry.value.mark, "`factor` is not negative");
        return None;
    }
    if least.holds(Fixed::default()) {
        let help = "a `condition` such as `gte: 20` says from where on it is worth a look";
        report.add_help(
            code::BAD_CONDITION,
            entry.mark,
            "nothing at all meets the condition",
            help,
        );
        return None;
    }
    Some(Deviation {
        measure,
        least,
        history_spans,
        learn_spans,
        factor,
    })
}

fn known_keys(entry: &Entry, known: &[&str], report: &mut Report<'_>) -> Option<()> {
    let Some(entries) = entry.value.entries() else {
        let message = format!("`{}` is a mapping with {}", entry.key, known.join(", "));
        report.add(code::BAD_SHAPE, entry.value.mark, message);
        return None;
    };
    match entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
        None => Some(()),
        Some(unknown) => {
            let message = format!("`{}` has no key `{}`", entry.key, unknown.key);
            let help = format!("it has {}", known.join(", "));
            report.add_help(code::UNKNOWN_EXTENSION_KEY, unknown.mark, message, help);
            None
        }
    }
}
