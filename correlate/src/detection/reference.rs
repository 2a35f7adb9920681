//! What a rule means, as slowly and plainly as it can be said. Only tests and fuzz targets use it: the engine must agree with it.

use casebook_event::{Event, FieldRef, Value, ValueRef, ip_address};

use super::answer::is_decisive;
use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::logsource::RuleLogsource;
use crate::sigma::pattern::Piece;
use crate::sigma::value::{Order, Relation, Test};
use crate::text::fold_char;

/// Whether the rule matches the event, wherever the event comes from.
pub(crate) fn matches(logsource: &RuleLogsource, detection: &Detection, event: &Event) -> bool {
    if !is_decisive(event) || logsource.guard().is_some_and(|guard| !query(&guard, event)) {
        return false;
    }
    let any = |conditions: &[Condition]| conditions.iter().any(|c| condition(c, detection, event));
    any(&detection.conditions) && detection.filters.iter().all(|filter| any(&filter.conditions))
}

fn condition(c: &Condition, detection: &Detection, event: &Event) -> bool {
    match c {
        Condition::Selection(at) => query(&detection.selections[*at].query, event),
        Condition::All(parts) => parts.iter().all(|part| condition(part, detection, event)),
        Condition::Any(parts) => parts.iter().any(|part| condition(part, detection, event)),
        Condition::Not(part) => !condition(part, detection, event),
    }
}

fn query(q: &Query, event: &Event) -> bool {
    match q {
        Query::All(parts) => parts.iter().all(|part| query(part, event)),
        Query::Any(parts) => parts.iter().any(|part| query(part, event)),
        Query::Item(one) => item(one, event),
    }
}

fn item(item: &Item, event: &Event) -> bool {
    let values = field_values(item.field.as_deref(), event);
    let mut answers = item
        .values
        .iter()
        .map(|spellings| spellings.iter().any(|test| holds(test, &values, event)));
    let answer = if item.all {
        answers.all(|a| a)
    } else {
        answers.any(|a| a)
    };
    answer != item.negated
}

fn field_values(field: Option<&str>, event: &Event) -> Vec<Value> {
    let mut values = Vec::new();
    let mut collect = |value: ValueRef<'_>| {
        values.push(value.to_value());
        false
    };
    match field {
        Some(name) => {
            event.visit(&FieldRef::resolve(name), &mut collect);
        }
        None => {
            event.visit_all(&mut collect);
            if event.native().is_null() {
                collect(ValueRef::Str(&event.raw));
            }
        }
    }
    values
}

fn is_nothing(value: &Value) -> bool {
    *value == Value::Null || *value == Value::List(Vec::new())
}

fn holds(test: &Test, values: &[Value], event: &Event) -> bool {
    match test {
        Test::Null => values.is_empty() || values.iter().any(is_nothing),
        Test::Exists(wanted) => *wanted != values.is_empty(),
        _ => values
            .iter()
            .any(|value| !is_nothing(value) && holds_of(test, value, event)),
    }
}

fn holds_of(test: &Test, value: &Value, event: &Event) -> bool {
    let chars =
        |text: &str, cased: bool| -> Vec<char> { text.chars().map(|c| if cased { c } else { fold_char(c) }).collect() };
    match test {
        Test::Text { pattern, cased } => {
            let mut symbols = Vec::new();
            for piece in pattern.pieces() {
                match piece {
                    Piece::Text(text) => symbols.extend(chars(text, *cased).into_iter().map(Symbol::Exactly)),
                    Piece::Many => symbols.push(Symbol::Many),
                    Piece::One => symbols.push(Symbol::One),
                }
            }
            glob(&symbols, &chars(&value.to_text(), *cased))
        }
        Test::Number(number) => number.equals(value.as_ref()),
        Test::Regex(expression) => expression.regex.is_match(&value.to_text()),
        Test::Cidr(network) => match ip_address(&value.to_text()) {
            Some(address) => network.contains(&address) || network.contains(&address.to_canonical()),
            None => false,
        },
        Test::Compare { order, than } => than
            .compare(value.as_ref())
            .is_some_and(|ordering| order.accepts(ordering)),
        Test::Field { name, relation, cased } => field_values(Some(name), event).iter().any(|other| {
            let (a, b) = (chars(&value.to_text(), *cased), chars(&other.to_text(), *cased));
            !is_nothing(other)
                && match relation {
                    Relation::Equals => a == b,
                    Relation::StartsWith => a.starts_with(&b),
                    Relation::EndsWith => a.ends_with(&b),
                    Relation::Contains => b.is_empty() || a.windows(b.len()).any(|window| window == b),
                }
        }),
        Test::Date { part, order, than } => match (part.value_of(value.as_ref()), order) {
            (None, _) => false,
            (Some(found), None) => found == *than,
            (Some(found), Some(Order::Less)) => found < *than,
            (Some(found), Some(Order::LessOrEqual)) => found <= *than,
            (Some(found), Some(Order::Greater)) => found > *than,
            (Some(found), Some(Order::GreaterOrEqual)) => found >= *than,
        },
        Test::Null | Test::Exists(_) => false,
    }
}

enum Symbol {
    Exactly(char),
    Many,
    One,
}

/// Fills the table of "these first symbols match these first characters".
fn glob(symbols: &[Symbol], text: &[char]) -> bool {
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for symbol in symbols {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match symbol {
                Symbol::Many => matched[..=at].contains(&true),
                Symbol::One => at > 0 && matched[at - 1],
                Symbol::Exactly(c) => at > 0 && matched[at - 1] && text[at - 1] == *c,
            };
        }
        matched = next;
    }
    matched[text.len()]
}
