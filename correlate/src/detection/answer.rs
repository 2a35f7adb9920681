//! Answers to single questions about single events: whether rules are applied to one, and whether an atom is true of it.

use casebook_event::{Event, FieldId, FieldRef, ValueRef, ip_address};

use super::field_pairs::{any_pair_holds, holds};
use crate::compile::{AtomId, Atoms, Check};
use crate::sigma::value::{Relation, compares};
use crate::text::fold;

/// Whether rules are applied to the event. A request that the API server logs at several stages is one: the stages that do not
/// count are kept, and found, but match nothing.
pub(crate) fn is_decisive(event: &Event) -> bool {
    event.fields.str(FieldId::AuditDecisive) != Some("false")
}

/// Whether an atom is true of an event, taken by itself.
pub(crate) fn answer(atoms: &Atoms, id: AtomId, event: &Event) -> bool {
    let atom = atoms.atom(id);
    match atom.field {
        Some(field) => field_answer(&atom.check, event, atoms.field(field)),
        None => {
            let mut visit = |value: ValueRef<'_>| value_answer(&atom.check, value);
            // Text records have no native form: their words may be in no field at all.
            event.visit_all(&mut visit) || (event.native().is_null() && visit(ValueRef::Str(&event.raw)))
        }
    }
}

/// Whether a value has a text to compare with: `null` and the empty array have none.
pub(super) fn has_text(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Null => false,
        ValueRef::List(items) => !items.is_empty(),
        _ => true,
    }
}

/// Whether `check` holds of a field of `event`: of any of its values, where it has several.
fn field_answer(check: &Check, event: &Event, field: &FieldRef) -> bool {
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
        Check::Field { other, relation, cased } => related_fields(event, field, other, *relation, *cased),
        _ => event.visit(field, &mut |found| value_answer(check, found)),
    }
}

/// Whether `check` holds of one value.
fn value_answer(check: &Check, value: ValueRef<'_>) -> bool {
    if !has_text(value) {
        return false;
    }
    match check {
        Check::Literal { relation, text } => holds(&fold(&value.to_text()), text, *relation),
        Check::Glob(glob) => glob.matches(&value.to_text()),
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

/// Whether any value of one field relates so to any of another.
fn related_fields(event: &Event, field: &FieldRef, other: &FieldRef, relation: Relation, cased: bool) -> bool {
    let texts = |field: &FieldRef| {
        let mut texts: Vec<String> = Vec::new();
        event.visit(field, &mut |value| {
            if has_text(value) {
                let text = value.to_text();
                texts.push(if cased {
                    text.into_owned()
                } else {
                    fold(&text).into_owned()
                });
            }
            false
        });
        texts
    };
    let (texts, others) = (texts(field), texts(other));
    any_pair_holds(&texts, &others, relation)
}
