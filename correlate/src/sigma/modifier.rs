//! `field|modifier|modifier: value` → the question about the field.
//!
//! Specification: Sigma modifiers 2.1. A modifier that is unknown is an error, never ignored.

use super::date::DatePart;
use super::value::{Order, Relation};
use crate::diagnostic::{Mark, Report, code};

/// How the field's value is compared with the rule's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// As text with wildcards, the whole of it or where the relation says; numbers and `null` as such.
    Plain(Relation),
    /// As a regular expression with these flags (`i`, `m`, `s`).
    Regex {
        insensitive: bool,
        multi_line: bool,
        dot_all: bool,
    },
    /// As an address in a network.
    Cidr,
    /// By presence.
    Exists,
    /// As a number, on that side of the rule's; equal to it where no side is said.
    Number(Option<Order>),
}

/// A way of respelling a value before it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Windash,
    Utf16Le,
    Utf16Be,
    Utf16,
    Base64,
    Base64Offset,
}

/// A field's name with its modifiers understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// The field; `None` for keywords.
    pub(crate) field: Option<&'a str>,
    pub(crate) comparison: Comparison,
    pub(crate) encodings: Vec<Encoding>,
    /// Every value must match, rather than any.
    pub(crate) all: bool,
    /// Case counts.
    pub(crate) cased: bool,
    /// The answer is turned around.
    pub(crate) negated: bool,
    /// The values name fields of the event.
    pub(crate) field_reference: bool,
    /// The values have placeholders.
    pub(crate) expand: bool,
    /// The part of a date that is compared, rather than the value itself.
    pub(crate) date_part: Option<DatePart>,
}

/// Every modifier of Sigma (appendix "modifiers", 2.1).
pub const MODIFIERS: &[&str] = &[
    "contains",
    "startswith",
    "endswith",
    "all",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "exists",
    "gt",
    "gte",
    "lt",
    "lte",
    "neq",
    "cased",
    "windash",
    "wide",
    "utf16",
    "utf16le",
    "utf16be",
    "base64",
    "base64offset",
    "fieldref",
    "expand",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

impl<'a> Key<'a> {
    /// Reads a key of a selection.
    pub(crate) fn parse(text: &'a str, mark: Mark, report: &mut Report<'_>) -> Option<Self> {
        let mut parts = text.split('|');
        let field = parts.next().map(str::trim).filter(|name| !name.is_empty());
        let mut key = Self {
            field,
            comparison: Comparison::Plain(Relation::Equals),
            encodings: Vec::new(),
            all: false,
            cased: false,
            negated: false,
            field_reference: false,
            expand: false,
            date_part: None,
        };
        let errors = report.errors();
        let mut compared_by: Option<&str> = None;
        for modifier in parts {
            let comparison = comparison_of(modifier);
            if comparison.is_none() && !key.set(modifier, mark, report) {
                let message = format!("unknown modifier `{modifier}`");
                report.add_help(
                    code::UNKNOWN_MODIFIER,
                    mark,
                    message,
                    format!("the modifiers are {}", MODIFIERS.join(", ")),
                );
            }
            if let Some(comparison) = comparison {
                if let Some(first) = compared_by {
                    let message = format!("`{first}` and `{modifier}` exclude each other");
                    report.add(code::MODIFIER_CONFLICT, mark, message);
                }
                compared_by = Some(modifier);
                key.comparison = comparison;
            }
        }
        if key.date_part.is_some() && key.comparison == Comparison::Plain(Relation::Equals) {
            key.comparison = Comparison::Number(None);
        }
        key.check(mark, report);
        (report.errors() == errors).then_some(key)
    }

    /// Takes a modifier that is no comparison; whether there is such a one.
    fn set(&mut self, modifier: &str, mark: Mark, report: &mut Report<'_>) -> bool {
        match modifier {
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.negated = true,
            "fieldref" => self.field_reference = true,
            "expand" => self.expand = true,
            "windash" => self.encodings.push(Encoding::Windash),
            "wide" | "utf16le" => self.encodings.push(Encoding::Utf16Le),
            "utf16be" => self.encodings.push(Encoding::Utf16Be),
            "utf16" => self.encodings.push(Encoding::Utf16),
            "base64" => self.encodings.push(Encoding::Base64),
            "base64offset" => self.encodings.push(Encoding::Base64Offset),
            "i" | "m" | "s" => self.set_regex_flag(modifier, mark, report),
            part => {
                let date_part = DatePart::of(part);
                if date_part.is_none() {
                    return false;
                }
                if self.date_part.is_some() {
                    report.add(code::MODIFIER_CONFLICT, mark, "only one part of a date can be compared");
                }
                self.date_part = date_part;
            }
        }
        true
    }

    fn set_regex_flag(&mut self, flag: &str, mark: Mark, report: &mut Report<'_>) {
        match &mut self.comparison {
            Comparison::Regex {
                insensitive,
                multi_line,
                dot_all,
            } => match flag {
                "i" => *insensitive = true,
                "m" => *multi_line = true,
                _ => *dot_all = true,
            },
            _ => report.add_help(
                code::MODIFIER_CONFLICT,
                mark,
                format!("`{flag}` is a flag of `re`, which does not come before it"),
                "write `|re|i`",
            ),
        }
    }

    fn check(&self, mark: Mark, report: &mut Report<'_>) {
        let plain = matches!(self.comparison, Comparison::Plain(_));
        let mut conflict = |problem: &str| report.add(code::MODIFIER_CONFLICT, mark, problem);
        if !plain && !self.encodings.is_empty() {
            conflict("an encoding goes with `contains`, `startswith`, `endswith` or no other modifier");
        }
        if !plain && self.field_reference {
            conflict("`fieldref` goes with `contains`, `startswith`, `endswith`, `neq` or no other modifier");
        }
        if self.field_reference && !self.encodings.is_empty() {
            conflict("`fieldref` compares fields as they are: there is no value to encode");
        }
        if self.date_part.is_some() && !matches!(self.comparison, Comparison::Number(_)) {
            conflict("a part of a date is a number: only `gt`, `gte`, `lt`, `lte`, `neq` and `all` go with it");
        }
        if self.expand && self.comparison == Comparison::Exists {
            conflict("`exists` takes true or false: there is nothing to expand");
        }
        if self.cased && !plain {
            conflict("`cased` goes with texts; a regular expression already minds case");
        }
        if self.field.is_none() {
            if self.field_reference {
                conflict("`fieldref` needs a field to compare with");
            }
            match self.comparison {
                Comparison::Plain(Relation::Equals | Relation::Contains) | Comparison::Regex { .. } => {}
                _ => conflict(
                    "keywords are looked for anywhere: only `all`, `contains`, `cased`, `re` and encodings go with them",
                ),
            }
        }
    }
}

/// How a modifier compares; `None` for those that say something else.
fn comparison_of(modifier: &str) -> Option<Comparison> {
    Some(match modifier {
        "contains" => Comparison::Plain(Relation::Contains),
        "startswith" => Comparison::Plain(Relation::StartsWith),
        "endswith" => Comparison::Plain(Relation::EndsWith),
        "re" => Comparison::Regex {
            insensitive: false,
            multi_line: false,
            dot_all: false,
        },
        "cidr" => Comparison::Cidr,
        "exists" => Comparison::Exists,
        "gt" => Comparison::Number(Some(Order::Greater)),
        "gte" => Comparison::Number(Some(Order::GreaterOrEqual)),
        "lt" => Comparison::Number(Some(Order::Less)),
        "lte" => Comparison::Number(Some(Order::LessOrEqual)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_understood_or_refused() {
        let check = |text: &str, want: Result<Comparison, &str>| {
            let mut findings = Vec::new();
            let key = Key::parse(text, Mark::START, &mut Report::new("f", &mut findings)).map(|key| key.comparison);
            match want {
                Ok(comparison) => assert_eq!(key, Some(comparison), "{text}: {findings:?}"),
                Err(code) => {
                    assert_eq!(key, None, "{text}");
                    assert_eq!(findings[0].code, code, "{text}");
                }
            }
        };
        check("a.b", Ok(Comparison::Plain(Relation::Equals)));
        check("a|contains|all", Ok(Comparison::Plain(Relation::Contains)));
        check("a|all|startswith|cased", Ok(Comparison::Plain(Relation::StartsWith)));
        check(
            "a|re|i|s",
            Ok(Comparison::Regex {
                insensitive: true,
                multi_line: false,
                dot_all: true,
            }),
        );
        check(
            "a|wide|base64offset|contains",
            Ok(Comparison::Plain(Relation::Contains)),
        );
        check("|all", Ok(Comparison::Plain(Relation::Equals)));
        check("a|i", Err("modifier-conflict"));
        check("a|contains|re", Err("modifier-conflict"));
        check("a|cidr|wide", Err("modifier-conflict"));
        check("|cidr", Err("modifier-conflict"));
        check("a|contain", Err("unknown-modifier"));
        check("a|", Err("unknown-modifier"));
        check("a|expand", Ok(Comparison::Plain(Relation::Equals)));
        check("a|hour", Ok(Comparison::Number(None)));
        check("a|hour|gte", Ok(Comparison::Number(Some(Order::GreaterOrEqual))));
        check("a|lt|week", Ok(Comparison::Number(Some(Order::Less))));
        check("a|expand|gt", Ok(Comparison::Number(Some(Order::Greater))));
        check("a|hour|expand", Ok(Comparison::Number(None)));
        check("a|hour|contains", Err("modifier-conflict"));
        check("a|hour|day", Err("modifier-conflict"));
        check("a|exists|expand", Err("modifier-conflict"));
    }
}
