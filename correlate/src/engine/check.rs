//! Answers to single questions about single values.

use casebook_event::{Event, FieldRef, ValueRef, ip_address};

use crate::compile::Check;
use crate::sigma::pattern::Piece;
use crate::sigma::value::{Relation, compares};
use crate::text::{fold, fold_char};

/// Whether a value has a text to compare with: `null` and the empty array have none.
pub(super) fn has_text(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Null => false,
        ValueRef::List(items) => !items.is_empty(),
        _ => true,
    }
}

/// Whether `check` holds of a field of `event`: of any of its values, where it has several.
pub(super) fn field(check: &Check, event: &Event, field: &FieldRef) -> bool {
    match check {
        Check::Exists(wanted) => event.visit(field, &mut |_| true) == *wanted,
        Check::Null => {
            let mut missing = true;
            let null = event.visit(field, &mut |value| {
                missing = false;
                !has_text(value)
            });
            null || missing
        }
        Check::Field { other, relation, cased } => event.visit(field, &mut |a| {
            has_text(a)
                && event.visit(other, &mut |b| {
                    has_text(b) && related(&a.to_text(), &b.to_text(), *relation, *cased)
                })
        }),
        _ => event.visit(field, &mut |found| value(check, found)),
    }
}

/// Whether `check` holds of one value.
pub(super) fn value(check: &Check, value: ValueRef<'_>) -> bool {
    if !has_text(value) {
        return false;
    }
    match check {
        Check::Literal { relation, text } => related(&value.to_text(), text, *relation, false),
        Check::Glob { pieces, cased } => glob(pieces, &value.to_text(), *cased),
        Check::Number(number) => number.equals(value),
        Check::Regex(regex) => regex.is_match(&value.to_text()),
        Check::Cidr(network) => {
            let address = value.as_str().and_then(ip_address);
            address.is_some_and(|address| network.contains(&address.to_canonical()) || network.contains(&address))
        }
        Check::Compare { order, than } => than.compare(value).is_some_and(|ordering| order.accepts(ordering)),
        Check::Date { part, order, than } => part.value_of(value).is_some_and(|found| compares(*order, found, *than)),
        Check::Null | Check::Exists(_) | Check::Field { .. } => false,
    }
}

fn related(text: &str, other: &str, relation: Relation, cased: bool) -> bool {
    let (text, other) = if cased {
        (text.into(), other.into())
    } else {
        (fold(text), fold(other))
    };
    match relation {
        Relation::Equals => text == other,
        Relation::StartsWith => text.starts_with(&*other),
        Relation::EndsWith => text.ends_with(&*other),
        Relation::Contains => text.contains(&*other),
    }
}

/// Whether the whole of `text` matches. Goes back only to the last `*`, so that the work is at most the product of the
/// two lengths.
fn glob(pieces: &[Piece], text: &str, cased: bool) -> bool {
    let mut rest = text;
    let mut at = 0;
    // Where to go on when a later piece fails: behind the last `*`, one character further each time.
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match pieces.get(at) {
            Some(Piece::Many) => {
                if at + 1 == pieces.len() {
                    return true;
                }
                at += 1;
                retry = Some((at, rest));
                continue;
            }
            Some(Piece::One) => {
                let mut chars = rest.chars();
                chars.next().map(|_| chars.as_str())
            }
            Some(Piece::Text(wanted)) => strip(rest, wanted, cased),
            None if rest.is_empty() => return true,
            None => None,
        };
        match (step, &mut retry) {
            (Some(behind), _) => {
                rest = behind;
                at += 1;
            }
            (None, Some((behind_star, from))) => {
                let mut chars = from.chars();
                if chars.next().is_none() {
                    return false;
                }
                *from = chars.as_str();
                rest = from;
                at = *behind_star;
            }
            (None, None) => return false,
        }
    }
}

fn strip<'a>(text: &'a str, wanted: &str, cased: bool) -> Option<&'a str> {
    if cased {
        return text.strip_prefix(wanted);
    }
    let mut chars = text.chars();
    for c in wanted.chars() {
        if fold_char(chars.next()?) != c {
            return None;
        }
    }
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::pattern::Pattern;

    #[test]
    fn wildcards_match_the_whole_text() {
        let check = |pattern: &str, text: &str, want: bool| {
            assert_eq!(
                glob(Pattern::parse(pattern).pieces(), text, false),
                want,
                "{pattern} on {text}"
            );
        };
        check("a*b*c", "AxxBxxC", true);
        check("a*b*c", "axxc", false);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("?", "é", true);
        check("?", "", false);
        check("a?c", "abc", true);
        check("*aab", "aaaaab", true);
        check("*a?b*", "xxazbxx", true);
        check("a*", "b", false);
    }
}
