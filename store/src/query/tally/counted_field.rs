//! A field that is counted by, and the keys of the groups that a row belongs to.

use super::groups::push_value;
use crate::data_file::Column;
use crate::limits::MAX_TALLY_COMBINATIONS;
use crate::query::ast::Target;
use crate::query::field::{Named, resolve};
use crate::query::native;
use crate::query::scan_file::Match;

/// A field that is counted by.
#[derive(Debug, Clone)]
pub(super) enum CountedField {
    First(Vec<Column>),
    Any(Vec<Column>),
    Native(String),
}

impl CountedField {
    pub fn new(name: &str) -> Self {
        match resolve(name) {
            Named::Columns(Target::First(columns)) => Self::First(columns),
            Named::Columns(Target::Any(columns)) => Self::Any(columns),
            Named::Columns(Target::Native(path)) => Self::Native(path),
            Named::Time | Named::Unknown => Self::Native(name.to_owned()),
        }
    }

    pub fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::First(columns) => columns.iter().map(|column| column.name()).collect(),
            Self::Any(columns) => {
                let claims = columns.iter().filter_map(|column| column.claims());
                columns.iter().copied().chain(claims).map(Column::name).collect()
            }
            Self::Native(_) => vec!["raw"],
        }
    }

    /// Calls `each` with every value that a row has.
    pub fn visit(&self, found: &Match<'_>, each: &mut dyn FnMut(&str)) {
        match self {
            Self::First(columns) => {
                for &column in columns {
                    let mut any = false;
                    found.columns.visit(column, found.row, &mut |value| {
                        any = true;
                        each(value);
                    });
                    if any {
                        return;
                    }
                }
            }
            Self::Any(columns) => {
                // The same address in two fields is one.
                let mut seen: Vec<String> = Vec::new();
                let mut claimed: Vec<String> = Vec::new();
                for &column in columns {
                    if let Some(claims) = column.claims() {
                        let mut note = |value: &str| claimed.push(value.to_owned());
                        found.columns.visit(claims, found.row, &mut note);
                    }
                    found.columns.visit(column, found.row, &mut |value| {
                        if !seen.iter().chain(&claimed).any(|known| known == value) {
                            each(value);
                            seen.push(value.to_owned());
                        }
                    });
                }
            }
            Self::Native(path) => {
                let record = native::parse(found.columns.raw(found.row));
                native::visit(&record, path, &mut |value| {
                    if !value.is_null() {
                        each(&value.to_text());
                    }
                    false
                });
            }
        }
    }
}

/// Calls `each` with a key for every combination of the values that the fields have.
pub(super) fn combine(fields: &[CountedField], found: &Match<'_>, key: &mut Vec<u8>, each: &mut dyn FnMut(&[u8])) {
    if let [field] = fields {
        let begin = key.len();
        let mut any = false;
        field.visit(found, &mut |value| {
            any = true;
            key.truncate(begin);
            push_value(key, Some(value));
            each(key);
        });
        if !any {
            push_value(key, None);
            each(key);
        }
        return;
    }
    let mut keys = vec![std::mem::take(key)];
    for field in fields {
        let mut values: Vec<Option<String>> = Vec::new();
        field.visit(found, &mut |value| values.push(Some(value.to_owned())));
        if values.is_empty() {
            values.push(None);
        }
        keys = keys
            .iter()
            .flat_map(|key| {
                values.iter().map(move |value| {
                    let mut key = key.clone();
                    push_value(&mut key, value.as_deref());
                    key
                })
            })
            .take(MAX_TALLY_COMBINATIONS)
            .collect();
    }
    keys.iter().for_each(|key| each(key));
    *key = keys.into_iter().next().unwrap_or_default();
}
