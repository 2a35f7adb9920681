//! Atoms: the questions about single fields that conditions are made of, each held once.

use std::collections::HashMap;

use casebook_event::FieldRef;
use ipnet::IpNet;
use regex::Regex;

use super::glob::Glob;
use crate::sigma::date::DatePart;
use crate::sigma::pattern::{Pattern, Piece};
use crate::sigma::value::{Number, Order, Relation, Test};
use crate::text::fold;

/// The number of an atom.
pub(crate) type AtomId = u32;
/// The number of a field.
pub(crate) type FieldIndex = u32;

/// A question about one field.
#[derive(Debug)]
pub(crate) struct Atom {
    /// The field; `None` asks every value of the event.
    pub(crate) field: Option<FieldIndex>,
    pub(crate) check: Check,
    /// A literal without which this cannot be true.
    pub(crate) prefilter: Option<AtomId>,
}

/// How an atom is answered.
#[derive(Debug)]
pub(crate) enum Check {
    /// By the field's automaton. The text is folded and not empty.
    Literal {
        relation: Relation,
        text: String,
    },
    /// A text with wildcards.
    Glob(Glob),
    Number(Number),
    Null,
    Regex(Regex),
    Cidr(IpNet),
    Exists(bool),
    Compare {
        order: Order,
        than: Number,
    },
    Date {
        part: DatePart,
        order: Option<Order>,
        than: i64,
    },
    Field {
        other: FieldRef,
        relation: Relation,
        cased: bool,
    },
}

/// All atoms of a rule set, and the fields they are about.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    atoms: Vec<Atom>,
    fields: Vec<FieldRef>,
    ids: HashMap<(Option<String>, Test), AtomId>,
    field_ids: HashMap<String, FieldIndex>,
}

impl Atoms {
    /// The atom that asks `test` of `field`.
    pub(crate) fn intern(&mut self, field: Option<&str>, test: &Test) -> AtomId {
        let key = (field.map(str::to_owned), test.clone());
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let field_index = field.map(|name| self.field_index(name));
        let (check, prefilter) = match test {
            Test::Text { pattern, cased } => {
                let check = text_check(pattern, *cased, field.is_some());
                let prefilter = match check {
                    Check::Literal { .. } => None,
                    _ => longest_text(pattern).filter(|_| field.is_some()),
                };
                (check, prefilter)
            }
            Test::Number(number) => (Check::Number(number.clone()), None),
            Test::Null => (Check::Null, None),
            Test::Regex(expression) => (Check::Regex(expression.regex.clone()), None),
            Test::Cidr(network) => (Check::Cidr(*network), None),
            Test::Exists(flag) => (Check::Exists(*flag), None),
            Test::Date { part, order, than } => (
                Check::Date {
                    part: *part,
                    order: *order,
                    than: *than,
                },
                None,
            ),
            Test::Compare { order, than } => (
                Check::Compare {
                    order: *order,
                    than: than.clone(),
                },
                None,
            ),
            Test::Field { name, relation, cased } => (
                Check::Field {
                    other: FieldRef::resolve(name),
                    relation: *relation,
                    cased: *cased,
                },
                None,
            ),
        };
        let prefilter = prefilter.map(|text| {
            let pattern = Pattern::literal(&fold(text)).open(true, true);
            self.intern(field, &Test::Text { pattern, cased: false })
        });
        let id = u32::try_from(self.atoms.len()).unwrap_or(u32::MAX);
        self.atoms.push(Atom {
            field: field_index,
            check,
            prefilter,
        });
        self.ids.insert(key, id);
        id
    }

    fn field_index(&mut self, name: &str) -> FieldIndex {
        if let Some(&index) = self.field_ids.get(name) {
            return index;
        }
        let index = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.fields.push(FieldRef::resolve(name));
        self.field_ids.insert(name.to_owned(), index);
        index
    }

    pub(crate) fn atom(&self, id: AtomId) -> &Atom {
        &self.atoms[id as usize]
    }

    pub(crate) fn field(&self, index: FieldIndex) -> &FieldRef {
        &self.fields[index as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.atoms.len()
    }

    pub(crate) fn field_count(&self) -> usize {
        self.fields.len()
    }
}

fn text_check(pattern: &Pattern, cased: bool, has_field: bool) -> Check {
    let literal = match pattern.pieces() {
        [Piece::Text(text)] => Some((Relation::Equals, text)),
        [Piece::Text(text), Piece::Many] => Some((Relation::StartsWith, text)),
        [Piece::Many, Piece::Text(text)] => Some((Relation::EndsWith, text)),
        [Piece::Many, Piece::Text(text), Piece::Many] => Some((Relation::Contains, text)),
        _ => None,
    };
    match literal {
        Some((relation, text)) if !cased && has_field => Check::Literal {
            relation,
            text: fold(text).into_owned(),
        },
        _ => Check::Glob(Glob::new(pattern.pieces(), cased)),
    }
}

fn longest_text(pattern: &Pattern) -> Option<&str> {
    let texts = pattern.pieces().iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Many | Piece::One => None,
    });
    texts.max_by_key(|text| text.len())
}
