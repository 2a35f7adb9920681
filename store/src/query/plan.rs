//! A query made ready: which files it leaves out, which columns it reads.

use std::collections::BTreeSet;

use casebook_event::{Source, Timestamp};

use super::answer::SearchRequest;
use super::ast::{Query, Target, ValueTest};
use super::parser::parse;
use crate::StoreError;
use crate::data_file::Column;
use crate::table::DataFile;

/// A query with what was taken out of it to leave files out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub query: Query,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub sources: Vec<Source>,
    /// Columns that the query reads.
    pub columns: Vec<&'static str>,
}

impl Plan {
    pub fn new(request: &SearchRequest) -> Result<Self, StoreError> {
        let mut plan = Self {
            query: Query::All,
            from: request.from,
            to: request.to,
            sources: request.sources.clone(),
            columns: Vec::new(),
        };
        let mut parts = Vec::new();
        plan.take(parse(&request.query)?, &mut parts);
        if !plan.sources.is_empty() {
            let any = plan.sources.iter().map(|source| {
                let is = ValueTest::Equals(source.name().to_owned());
                Query::Field(Target::First(vec![Column::Source]), is)
            });
            parts.push(Query::Or(any.collect()));
        }
        plan.query = if parts.is_empty() {
            Query::All
        } else {
            Query::And(parts)
        };
        let mut columns = BTreeSet::new();
        add_columns(&plan.query, &mut columns);
        plan.columns = columns.into_iter().collect();
        Ok(plan)
    }

    /// Moves times that every match must have into `from` and `to`, and the rest into `parts`.
    fn take(&mut self, query: Query, parts: &mut Vec<Query>) {
        match query {
            Query::All => {}
            Query::And(inner) => inner.into_iter().for_each(|part| self.take(part, parts)),
            Query::Time(from, to) => {
                self.from = self.from.max(from);
                self.to = match (self.to, to) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
            other => parts.push(other),
        }
    }

    pub fn may_hold(&self, file: &DataFile) -> bool {
        file.stats.may_hold_time(self.from, self.to)
            && (self.sources.is_empty() || self.sources.iter().any(|s| file.stats.may_hold("source", s.name())))
    }

    pub fn within(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// The columns of the events table that a query reads.
fn add_columns(query: &Query, out: &mut BTreeSet<&'static str>) {
    match query {
        Query::All => {}
        Query::Time(_, _) => {
            out.insert("time_nanos");
        }
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| add_columns(part, out)),
        Query::Not(part) => add_columns(part, out),
        Query::Text(_) | Query::Field(Target::Native(_), _) => {
            out.insert("raw");
        }
        Query::Field(Target::First(columns) | Target::Any(columns), _) => {
            let claims = columns.iter().filter_map(|column| column.claims());
            out.extend(columns.iter().copied().chain(claims).map(Column::name));
        }
    }
}
