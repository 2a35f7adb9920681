//! Counting matches: by time, by the values of fields, by both.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int32Array};
use arrow::datatypes::Int32Type;
use casebook_event::Timestamp;
use futures::{StreamExt as _, TryStreamExt as _};

use super::ast::{Column, Query, Target};
use super::field::{Named, resolve};
use super::file_matches::{Looked, LookedBy, Match, Wanted};
use super::groups::{Groups, push_span, push_value};
use super::native;
use super::plan::Plan;
use super::search::{FilesRead, SearchRequest, UnreadableFile};
use crate::limits::MAX_TALLY_COMBINATIONS;
use crate::scan::{OpenFile, Pages};
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// By what matches are counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TallyBy {
    /// By spans of time of so many nanoseconds, which begin at whole multiples of it since 1970.
    pub span: Option<i64>,
    /// By the values of these fields, as the query language names them. An event counts for each of the values that a
    /// field of several has (for the combinations of them, where several fields are named, at most
    /// [`MAX_TALLY_COMBINATIONS`]).
    pub fields: Vec<String>,
    /// Most groups that are told, where they are not counted by time as well: those with most events. All, where nothing is
    /// said.
    pub most: Option<usize>,
}

/// How many events match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The groups: by time first, then the most frequent, then by value.
    pub rows: Vec<TallyRow>,
    /// How many groups there are.
    pub groups: u64,
    /// How many events match.
    pub matched: u64,
    /// How many counts belong to groups that are not told, since there are more than [`crate::limits::MAX_TALLY_GROUPS`].
    pub untold: u64,
    /// What was read for it.
    pub files: FilesRead,
    /// Files that may hold a match and could not be read: nothing of them is counted.
    pub unreadable: Vec<UnreadableFile>,
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
            Self::First(columns) => columns.iter().map(|column| column.name()).collect(),
            Self::Any(columns) => {
                let claims = columns.iter().filter_map(|column| column.claims());
                columns.iter().copied().chain(claims).map(Column::name).collect()
            }
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
            let (looked, found, by_the_log) = match found? {
                Ok(found) => found,
                Err(file) => {
                    tally.unreadable.push(file);
                    continue;
                }
            };
            if by_the_log {
                tally.files.unread += 1;
                tally.matched += found.sum();
            } else {
                tally.files.add(&looked);
                tally.matched += looked.matched;
            }
            groups.merge(found);
        }
        tally.untold = groups.untold();
        tally.groups = groups.len();
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
            push_span(&mut key, span);
        }
        push_value(&mut key, Some(source));
        groups.add(&key, count.rows);
    }
    Some(groups)
}

/// Counts every row of a file by one column of texts: what is read of a row is a number, the place of its text in the
/// column's dictionary. `None`: the file has no such column.
async fn tally_dictionary(
    store: &Store,
    column: &str,
    file: &DataFile,
) -> Result<Option<(Looked, Groups)>, StoreError> {
    let opened = OpenFile::open(store, TableName::Events, file, Pages::Unknown).await?;
    let Some(mut batches) = opened.dictionary(column)? else {
        return Ok(None);
    };
    let mut looked = Looked {
        by: LookedBy::Dictionary,
        ..Looked::default()
    };
    let mut groups = Groups::default();
    // Batches of one row group share a dictionary, and are counted together.
    let mut counting: Option<Counting> = None;
    while let Some(batch) = batches.try_next().await? {
        let Some(places) = batch.column(0).as_dictionary_opt::<Int32Type>() else {
            return Ok(None);
        };
        if !counting
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(&one.texts, places.values()))
        {
            let next = Counting::of(places.values().clone());
            if let Some(before) = counting.replace(next) {
                before.tell(&mut groups);
            }
        }
        if let Some(counting) = &mut counting {
            counting.count(places.keys());
        }
        let rows = batch.num_rows() as u64;
        looked.rows_read += rows;
        looked.matched += rows;
    }
    if let Some(last) = counting {
        last.tell(&mut groups);
    }
    Ok(Some((looked, groups)))
}

/// How often each text of a dictionary occurs.
struct Counting {
    texts: ArrayRef,
    counts: Vec<u64>,
    without: u64,
}

impl Counting {
    fn of(texts: ArrayRef) -> Self {
        Self {
            counts: vec![0; texts.len()],
            texts,
            without: 0,
        }
    }

    fn count(&mut self, places: &Int32Array) {
        for place in places {
            let count = place.and_then(|place| self.counts.get_mut(usize::try_from(place).ok()?));
            *count.unwrap_or(&mut self.without) += 1;
        }
    }

    fn tell(self, groups: &mut Groups) {
        let mut key = Vec::new();
        let mut add = |text: Option<&str>, count: u64| {
            if count > 0 {
                key.clear();
                push_value(&mut key, text);
                groups.add(&key, count);
            }
        };
        let texts = self.texts.as_string_opt::<i32>();
        for (place, count) in self.counts.into_iter().enumerate() {
            add(texts.map(|texts| texts.value(place)), count);
        }
        add(None, self.without);
    }
}

async fn tally_file(
    store: &Store,
    plan: &Arc<Plan>,
    by: &TallyBy,
    file: &DataFile,
) -> Result<(Looked, Groups), StoreError> {
    let fields: Vec<Counted> = by.fields.iter().map(|name| Counted::new(name)).collect();
    if let (None, [Counted::First(columns)]) = (by.span, fields.as_slice())
        && let [column] = columns.as_slice()
        && matches!(plan.query, Query::All)
        && file.stats.is_within(plan.from, plan.to)
        && let Some(counted) = tally_dictionary(store, column.name(), file).await?
    {
        return Ok(counted);
    }
    let mut columns: Vec<&'static str> = fields.iter().flat_map(Counted::columns).collect();
    columns.extend(by.span.map(|_| "time_nanos"));
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
                push_span(&mut key, found.time.as_nanos().div_euclid(nanos));
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
