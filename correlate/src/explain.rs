//! Why a rule matches an event, or does not: its condition, part by part, with what the event has where each part looks.
//!
//! It asks the same questions as the engine, one by one and without any short cut.

use casebook_event::{Event, FieldRef, Source, ValueRef};

use crate::compile::Atoms;
use crate::detection::{answer, is_decisive};
use crate::limits::{MAX_EXPLAINED_VALUE_BYTES, MAX_EXPLAINED_VALUES};
use crate::rule_set::{DetectionRule, RuleSet};
use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Item, Query};
use crate::sigma::pattern::{Pattern, Piece};
use crate::sigma::value::{Order, Relation, Test};

/// A part of a rule, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The question.
    pub text: String,
    /// Whether it is so.
    pub holds: bool,
    /// Where it is about one field, the values that the event has there; none where it has no such field. At most
    /// [`MAX_EXPLAINED_VALUES`], each cut at [`MAX_EXPLAINED_VALUE_BYTES`].
    pub seen: Option<Vec<String>>,
    /// What it is made of.
    pub parts: Vec<Explained>,
}

impl Explained {
    fn leaf(text: impl Into<String>, holds: bool) -> Self {
        Self {
            text: text.into(),
            holds,
            seen: None,
            parts: Vec::new(),
        }
    }

    fn of(text: impl Into<String>, holds: bool, parts: Vec<Explained>) -> Self {
        Self {
            parts,
            ..Self::leaf(text, holds)
        }
    }
}

impl RuleSet {
    /// Why the rule with that id matches `event`, or does not; `None` where it is no rule about single events.
    pub fn explain(&self, id: &str, event: &Event) -> Option<Explained> {
        let rule = self.detection_by_id(id)?;
        let mut parts = vec![logsource(rule, event.source)];
        if !is_decisive(event) {
            let stage = "an answer, and not an earlier stage of a request that is reported again";
            parts.push(Explained::leaf(stage, false));
        }
        if let Some(guard) = rule.logsource.guard() {
            let text = match (&rule.logsource.mapped, &rule.logsource.category) {
                (None, Some(category)) => format!("category {category}"),
                _ => "where of its mapping".to_owned(),
            };
            let answered = query(&guard, event);
            let holds = answered.holds;
            // A single question is a part itself, since it says what the event has.
            let of_guard = if answered.parts.is_empty() {
                vec![answered]
            } else {
                answered.parts
            };
            parts.push(Explained::of(text, holds, of_guard));
        }
        let each = |conditions: &[Condition]| -> Vec<_> {
            let conditions = conditions.iter();
            conditions.map(|one| condition(one, &rule.detection, event)).collect()
        };
        parts.push(any("condition", each(&rule.detection.conditions)));
        for filter in &rule.detection.filters {
            let answered = any("any of", each(&filter.conditions));
            let text = format!("filter {}", filter.title);
            parts.push(Explained::of(text, answered.holds, vec![answered]));
        }
        let holds = parts.iter().all(|part| part.holds);
        Some(Explained::of(self.get(id)?.title.clone(), holds, parts))
    }
}

fn logsource(rule: &DetectionRule, source: Source) -> Explained {
    let reads = rule.logsource.sources().any(|read| read == source);
    Explained {
        seen: Some(vec![source.name().to_owned()]),
        ..Explained::leaf(format!("logsource {}", rule.logsource), reads)
    }
}

/// All of the parts; where there is one only, that one.
fn all(text: &str, mut parts: Vec<Explained>) -> Explained {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Explained::of(text, parts.iter().all(|part| part.holds), parts)
        }
    }
}

/// Any of the parts, likewise.
fn any(text: &str, mut parts: Vec<Explained>) -> Explained {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Explained::of(text, parts.iter().any(|part| part.holds), parts)
        }
    }
}

fn condition(question: &Condition, detection: &Detection, event: &Event) -> Explained {
    let each = |parts: &[Condition]| parts.iter().map(|part| condition(part, detection, event)).collect();
    match question {
        Condition::Selection(at) => {
            let selection = &detection.selections[*at];
            let found = query(&selection.query, event);
            let parts = match (&selection.query, found.parts.is_empty()) {
                (Query::All(parts), false) if parts.len() > 1 => found.parts,
                _ => vec![found.clone()],
            };
            Explained::of(&selection.name, found.holds, parts)
        }
        Condition::All(parts) => all("all of", each(parts)),
        Condition::Any(parts) => any("any of", each(parts)),
        Condition::Not(part) => {
            let part = condition(part, detection, event);
            Explained::of("not", !part.holds, vec![part])
        }
    }
}

fn query(question: &Query, event: &Event) -> Explained {
    let each = |parts: &[Query]| parts.iter().map(|part| query(part, event)).collect();
    match question {
        Query::All(parts) => all("all of", each(parts)),
        Query::Any(parts) => any("any of", each(parts)),
        Query::Item(one) => item(one, event),
    }
}

fn item(item: &Item, event: &Event) -> Explained {
    let mut atoms = Atoms::default();
    let mut holds = |test: &Test| {
        let id = atoms.intern(item.field.as_deref(), test);
        answer(&atoms, id, event)
    };
    let values: Vec<_> = item
        .values
        .iter()
        .filter_map(|spellings| {
            // Of the spellings that a modifier makes of one value, the first that is there.
            let found = spellings.iter().find(|test| holds(test));
            let text = describe(found.or(spellings.first())?);
            let others = spellings.len() - 1;
            let text = match (found, others) {
                (None, 1..) => format!("{text} (or {others} other spellings)"),
                _ => text,
            };
            Some(Explained::leaf(text, found.is_some()))
        })
        .collect();
    let field = item.field.as_deref().unwrap_or("any value");
    let answer = if item.all {
        values.iter().all(|value| value.holds)
    } else {
        values.iter().any(|value| value.holds)
    };
    let not = if item.negated { "not " } else { "" };
    let (text, parts) = match &values[..] {
        [only] => (format!("{not}{field} {}", only.text), Vec::new()),
        _ => (
            format!("{not}{field}, {} of", if item.all { "all" } else { "any" }),
            values,
        ),
    };
    Explained {
        text,
        holds: answer != item.negated,
        seen: item.field.as_deref().map(|name| seen(name, event)),
        parts,
    }
}

/// What the event has in a field.
fn seen(name: &str, event: &Event) -> Vec<String> {
    let mut values = Vec::new();
    event.visit(&FieldRef::resolve(name), &mut |value| {
        values.push(match value {
            ValueRef::Null => "null".to_owned(),
            value => cut(&value.to_text()),
        });
        values.len() >= MAX_EXPLAINED_VALUES
    });
    values
}

fn cut(text: &str) -> String {
    match text.get(..text.floor_char_boundary(MAX_EXPLAINED_VALUE_BYTES)) {
        Some(begin) if begin.len() < text.len() => format!("{begin}…"),
        _ => text.to_owned(),
    }
}

fn sign(order: Option<Order>) -> &'static str {
    match order {
        None => "=",
        Some(Order::Less) => "<",
        Some(Order::LessOrEqual) => "<=",
        Some(Order::Greater) => ">",
        Some(Order::GreaterOrEqual) => ">=",
    }
}

/// A question in words.
fn describe(test: &Test) -> String {
    let case = |cased: bool| if cased { ", case counts" } else { "" };
    match test {
        Test::Text { pattern, cased } => format!("{}{}", pattern_text(pattern), case(*cased)),
        Test::Number(number) => format!("= {}", number.text()),
        Test::Null => "is missing, null or empty".to_owned(),
        Test::Regex(expression) => format!("matches /{}/", expression.source),
        Test::Cidr(network) => format!("is in {network}"),
        Test::Exists(true) => "exists".to_owned(),
        Test::Exists(false) => "does not exist".to_owned(),
        Test::Compare { order, than } => {
            format!("{} {}", sign(Some(*order)), than.text())
        }
        Test::Date { part, order, than } => format!("has a date whose {} is {} {than}", part.name(), sign(*order)),
        Test::Field { name, relation, cased } => {
            let relation = match relation {
                Relation::Equals => "is",
                Relation::StartsWith => "starts with",
                Relation::EndsWith => "ends with",
                Relation::Contains => "contains",
            };
            format!("{relation} the field {name}{}", case(*cased))
        }
    }
}

fn pattern_text(pattern: &Pattern) -> String {
    match pattern.pieces() {
        [] => "is empty".to_owned(),
        [Piece::Text(text)] => format!("is {text:?}"),
        [Piece::Text(text), Piece::Many] => format!("starts with {text:?}"),
        [Piece::Many, Piece::Text(text)] => format!("ends with {text:?}"),
        [Piece::Many, Piece::Text(text), Piece::Many] => format!("contains {text:?}"),
        pieces => {
            let parts = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?"),
                Piece::Many => "*".to_owned(),
                Piece::One => "?".to_owned(),
            });
            format!("is like {}", parts.collect::<String>())
        }
    }
}
