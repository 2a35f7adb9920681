//! Counting matches: by time, by the values of fields, by both.

use std::collections::HashMap;
use std::sync::Arc;

use casebook_event::Timestamp;
use futures::StreamExt as _;

use super::ast::{Column, Query, Target};
use super::field::{Named, resolve};
use super::file_matches::{Looked, Match, Wanted};
use super::native;
use super::plan::Plan;
use super::search::{FilesRead, SearchRequest};
use crate::limits::{MAX_TALLY_COMBINATIONS, MAX_TALLY_GROUPS};
use crate::table::DataFile;
use crate::{Store, StoreError};

/// By what matches are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TallyBy {
    /// By spans of time of so many nanoseconds, which begin at whole multiples of it since 1970.
    pub span: Option<i64>,
    /// By the values of these fields, as the query language names them. An event counts for each of the values that a
    /// field of several has (for the combinations of them, where several fields are named, at most
    /// [`MAX_TALLY_COMBINATIONS`]).
    pub fields: Vec<String>,
}

/// How many events match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The groups: by time first, then the most frequent, then by value.
    pub rows: Vec<TallyRow>,
    /// How many events match.
    pub matched: u64,
    /// How many counts belong to groups that are not told, since there are more than [`MAX_TALLY_GROUPS`].
    pub untold: u64,
    /// What was read for it.
    pub files: FilesRead,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyRow {
    /// The beginning of the span.
    pub time: Option<Timestamp>,
    /// A value for each field; `None` where the events have none.
    pub values: Vec<Option<String>>,
    /// How many events.
    pub count: u64,
}

/// A field that is counted by.
#[derive(Debug, Clone)]
enum Counted {
    First(Vec<Column>),
    Any(Vec<Column>),
    Native(String),
}

impl Counted {
    fn new(name: &str) -> Self {
        match resolve(name) {
            Named::Columns(Target::First(columns)) => Self::First(columns),
            Named::Columns(Target::Any(columns)) => Self::Any(columns),
            Named::Columns(Target::Native(path)) => Self::Native(path),
            Named::Time | Named::Unknown => Self::Native(name.to_owned()),
        }
    }

    fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::First(columns) | Self::Any(columns) => columns.iter().map(|column| column.name()).collect(),
            Self::Native(_) => vec!["raw"],
        }
    }

    /// Calls `each` with every value that a row has.
    fn visit(&self, found: &Match<'_>, each: &mut dyn FnMut(&str)) {
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
                for &column in columns {
                    found.columns.visit(column, found.row, &mut |value| {
                        if !seen.iter().any(|earlier| earlier == value) {
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

/// Groups and their counts. A group's key has the span's number and then each value with its length in front, so that no two
/// groups have the same, whatever is in the values.
#[derive(Debug, Default)]
struct Groups {
    counts: HashMap<Box<[u8]>, u64>,
    untold: u64,
}

impl Groups {
    fn add(&mut self, key: &[u8], count: u64) {
        if let Some(counted) = self.counts.get_mut(key) {
            *counted += count;
        } else if self.counts.len() < MAX_TALLY_GROUPS {
            self.counts.insert(key.into(), count);
        } else {
            self.untold += count;
        }
    }

    fn rows(self, by: &TallyBy) -> Vec<TallyRow> {
        let mut rows: Vec<TallyRow> = self
            .counts
            .into_iter()
            .map(|(key, count)| read_key(&key, by, count))
            .collect();
        rows.sort_unstable_by(|a, b| (a.time, b.count, &a.values).cmp(&(b.time, a.count, &b.values)));
        rows
    }
}

const SPAN_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;
/// Stands for the length of a value that is not there.
const ABSENT: [u8; LENGTH_BYTES] = u32::MAX.to_be_bytes();

fn push_value(key: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => {
            // A record is far smaller than four gigabytes.
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX - 1);
            key.extend_from_slice(&length.to_be_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        None => key.extend_from_slice(&ABSENT),
    }
}

fn read_key(key: &[u8], by: &TallyBy, count: u64) -> TallyRow {
    let (span, mut rest) = key.split_at(if by.span.is_some() { SPAN_BYTES } else { 0 });
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let mut values = Vec::with_capacity(by.fields.len());
    while rest.len() >= LENGTH_BYTES {
        let (length, behind) = rest.split_at(LENGTH_BYTES);
        if *length == ABSENT {
            values.push(None);
            rest = behind;
            continue;
        }
        let (value, behind) = behind.split_at((number(length) as usize).min(behind.len()));
        values.push(Some(String::from_utf8_lossy(value).into_owned()));
        rest = behind;
    }
    TallyRow {
        time: by
            .span
            .map(|nanos| Timestamp::from_nanos(number(span).cast_signed().saturating_mul(nanos))),
        values,
        count,
    }
}

impl Store {
    /// Counts the events that match `request` (its limit and order do not matter) by time, fields, or both.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn tally(&self, request: SearchRequest, by: TallyBy) -> Result<Tally, StoreError> {
        let plan = Arc::new(Plan::new(&request)?);
        let (files, read) = self.files_of(&plan).await?;
        let mut tally = Tally {
            files: read,
            ..Tally::default()
        };
        let mut groups = Groups::default();
        let shared = Arc::new(by.clone());
        let mut results = std::pin::pin!(self.each_file(&files, move |store, file| {
            let (plan, by) = (plan.clone(), shared.clone());
            async move {
                if let Some(counts) = by_the_log(&plan, &by, &file) {
                    return Ok((Looked::default(), counts, true));
                }
                let (looked, groups) = tally_file(&store, &plan, &by, &file).await?;
                Ok((looked, groups, false))
            }
        }));
        while let Some(found) = results.next().await {
            let (looked, found, by_the_log) = found?;
            if by_the_log {
                tally.files.unread += 1;
                tally.matched += found.counts.values().sum::<u64>();
            } else {
                tally.files.add(&looked);
                tally.matched += looked.matched;
            }
            groups.untold += found.untold;
            for (key, count) in found.counts {
                groups.add(&key, count);
            }
        }
        tally.untold = groups.untold;
        tally.rows = groups.rows(&by);
        Ok(tally)
    }
}

/// The number of events of each source is in the log: a file need not be read for it.
fn by_the_log(plan: &Plan, by: &TallyBy, file: &DataFile) -> Option<Groups> {
    let by_source = by.fields.iter().all(|name| name == "source") && by.fields.len() == 1;
    if !by_source || !matches!(plan.query, Query::All) || !file.stats.is_within(plan.from, plan.to) {
        return None;
    }
    let sources = file.stats.sources.as_ref()?;
    let mut groups = Groups::default();
    for (source, count) in &sources.0 {
        let mut key = Vec::new();
        if let Some(nanos) = by.span {
            let span = count.first.as_nanos().div_euclid(nanos);
            if span != count.last.as_nanos().div_euclid(nanos) {
                return None;
            }
            key.extend_from_slice(&span.to_be_bytes());
        }
        push_value(&mut key, Some(source));
        groups.add(&key, count.rows);
    }
    Some(groups)
}

async fn tally_file(
    store: &Store,
    plan: &Arc<Plan>,
    by: &TallyBy,
    file: &DataFile,
) -> Result<(Looked, Groups), StoreError> {
    let fields: Vec<Counted> = by.fields.iter().map(|name| Counted::new(name)).collect();
    let mut columns: Vec<&'static str> = fields.iter().flat_map(Counted::columns).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut groups = Groups::default();
    // Rows that follow each other are often of one group: they are looked up once.
    let (mut key, mut last, mut run) = (Vec::new(), Vec::new(), 0u64);
    let mut count = |groups: &mut Groups, key: &[u8]| {
        if key == last.as_slice() {
            run += 1;
            return;
        }
        if run > 0 {
            groups.add(&last, run);
        }
        last.clear();
        last.extend_from_slice(key);
        run = 1;
    };
    let looked = store
        .look_at(plan, file, Wanted::Rows(&columns), &mut |found| {
            key.clear();
            if let Some(nanos) = by.span {
                key.extend_from_slice(&found.time.as_nanos().div_euclid(nanos).to_be_bytes());
            }
            combine(&fields, found, &mut key, &mut |key| count(&mut groups, key));
        })
        .await?;
    if run > 0 {
        groups.add(&last, run);
    }
    Ok((looked, groups))
}

/// Calls `each` with a key for every combination of the values that the fields have.
fn combine(fields: &[Counted], found: &Match<'_>, key: &mut Vec<u8>, each: &mut dyn FnMut(&[u8])) {
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
