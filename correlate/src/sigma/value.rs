//! What one value of a rule asks of a field.

use std::hash::{Hash, Hasher};

use casebook_event::ValueRef;
use ipnet::IpNet;
use regex::Regex;

use super::date::DatePart;
use super::pattern::Pattern;
use super::yaml::parse_int;

/// A question about one value of a field. Every one but [`Test::Null`] and [`Test::Exists`] is false of `null`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// The value's text matches the pattern.
    Text {
        /// The pattern, as written.
        pattern: Pattern,
        /// Whether case counts.
        cased: bool,
    },
    /// The value is this number, or a text that spells it.
    Number(Number),
    /// The field is missing, `null`, or an empty array.
    Null,
    /// The value's text has a match of the expression anywhere.
    Regex(Expression),
    /// The value's text is an address within the network.
    Cidr(IpNet),
    /// The field is there, whatever its value; or it is not.
    Exists(bool),
    /// The value is a number, or a text that is one, on that side of the rule's.
    Compare {
        /// Which side.
        order: Order,
        /// The rule's number.
        than: Number,
    },
    /// That part of the value, which is a date, compares so to the rule's number.
    Date {
        /// Which part.
        part: DatePart,
        /// Which side; equal where none is said.
        order: Option<Order>,
        /// The rule's number.
        than: i64,
    },
    /// The value's text is, starts with, ends with or contains the text of another field of the event.
    Field {
        /// The other field.
        name: String,
        /// How the two compare.
        relation: Relation,
        /// Whether case counts.
        cased: bool,
    },
}

/// A side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// Whether a number that compares so is on this side.
    pub(crate) fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Whether a number lies on that side of another; whether it is equal where no side is said.
pub(crate) fn compares(order: Option<Order>, found: i64, than: i64) -> bool {
    order.map_or(found == than, |order| order.accepts(found.cmp(&than)))
}

/// How one text relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
}

/// A number of a rule, with its spelling. Whole numbers are compared as such: an `i64` may have no exact `f64`.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    text: String,
    int: Option<i64>,
    float: f64,
}

impl Number {
    /// Reads YAML's spellings of numbers; `None` for other texts, infinities and NaN.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let int = parse_int(text);
        let float = match int {
            Some(n) => n as f64,
            None => text.parse().ok().filter(|n: &f64| n.is_finite())?,
        };
        Some(Self {
            text: text.to_owned(),
            int,
            float,
        })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How `value` compares to this number; `None` if it is none.
    pub(crate) fn compare(&self, value: ValueRef<'_>) -> Option<std::cmp::Ordering> {
        let found = match value {
            ValueRef::Int(n) => (Some(n), n as f64),
            ValueRef::Float(n) => (None, n),
            ValueRef::Str(text) => match text.parse::<i64>() {
                Ok(n) => (Some(n), n as f64),
                Err(_) => (None, text.parse().ok().filter(|n: &f64| n.is_finite())?),
            },
            _ => return None,
        };
        match (found, self.int) {
            ((Some(a), _), Some(b)) => Some(a.cmp(&b)),
            ((_, a), _) => a.partial_cmp(&self.float),
        }
    }

    /// Whether `value` is this number, or a text that spells it.
    pub(crate) fn equals(&self, value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Str(text) => {
                text.eq_ignore_ascii_case(&self.text) || (self.int.is_some() && text.parse().ok() == self.int)
            }
            other => self.compare(other) == Some(std::cmp::Ordering::Equal),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A compiled regular expression that knows its source, flags included.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(crate) source: String,
    pub(crate) regex: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}
