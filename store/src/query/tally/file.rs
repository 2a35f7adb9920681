//! Counting one file: by the log alone, by the dictionary of one column, or row by row.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int32Array};
use arrow::datatypes::Int32Type;
use futures::TryStreamExt as _;

use super::answer::TallyBy;
use super::counted_field::{CountedField, combine};
use super::groups::{Groups, push_span, push_value};
use crate::data_file::{OpenFile, PageIndex};
use crate::query::ast::Query;
use crate::query::plan::Plan;
use crate::query::scan_file::{AccessPath, ScanStats, Wanted, scan_file};
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// The number of events of each source is in the log: a file need not be read for it.
pub(super) fn count_by_log(plan: &Plan, by: &TallyBy, file: &DataFile) -> Option<Groups> {
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

/// Counts every row of a file by one column of texts: what is read of a row is a number, the key of its text in the
/// column's dictionary. `None`: the file has no such column.
async fn tally_dictionary(
    tables: &Tables,
    column: &str,
    file: &DataFile,
) -> Result<Option<(ScanStats, Groups)>, StoreError> {
    let opened = OpenFile::open(tables.files(), TableName::Events, file, PageIndex::None).await?;
    let Some(mut batches) = opened.dictionary(column)? else {
        return Ok(None);
    };
    let mut stats = ScanStats {
        path: AccessPath::Dictionary,
        ..ScanStats::default()
    };
    let mut groups = Groups::default();
    // Batches of one row group share a dictionary, and are counted together.
    let mut counting: Option<Counting> = None;
    while let Some(batch) = batches.try_next().await? {
        let Some(keys) = batch.column(0).as_dictionary_opt::<Int32Type>() else {
            return Ok(None);
        };
        if !counting
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(&one.texts, keys.values()))
        {
            let next = Counting::of(keys.values().clone());
            if let Some(before) = counting.replace(next) {
                before.add_to(&mut groups);
            }
        }
        if let Some(counting) = &mut counting {
            counting.count(keys.keys());
        }
        let rows = batch.num_rows() as u64;
        stats.rows_read += rows;
        stats.matched += rows;
    }
    if let Some(last) = counting {
        last.add_to(&mut groups);
    }
    Ok(Some((stats, groups)))
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

    fn count(&mut self, keys: &Int32Array) {
        for key in keys {
            let count = key.and_then(|key| self.counts.get_mut(usize::try_from(key).ok()?));
            *count.unwrap_or(&mut self.without) += 1;
        }
    }

    fn add_to(self, groups: &mut Groups) {
        let mut key = Vec::new();
        let mut add = |text: Option<&str>, count: u64| {
            if count > 0 {
                key.clear();
                push_value(&mut key, text);
                groups.add(&key, count);
            }
        };
        let texts = self.texts.as_string_opt::<i32>();
        for (number, count) in self.counts.into_iter().enumerate() {
            add(texts.map(|texts| texts.value(number)), count);
        }
        add(None, self.without);
    }
}

pub(super) async fn tally_file(
    tables: &Tables,
    plan: &Arc<Plan>,
    by: &TallyBy,
    file: &DataFile,
) -> Result<(ScanStats, Groups), StoreError> {
    let fields: Vec<CountedField> = by.fields.iter().map(|name| CountedField::new(name)).collect();
    if let (None, [CountedField::First(columns)]) = (by.span, fields.as_slice())
        && let [column] = columns.as_slice()
        && matches!(plan.query, Query::All)
        && file.stats.is_within(plan.from, plan.to)
        && let Some(counted) = tally_dictionary(tables, column.name(), file).await?
    {
        return Ok(counted);
    }
    let mut columns: Vec<&'static str> = fields.iter().flat_map(CountedField::columns).collect();
    columns.extend(by.span.map(|_| "time_nanos"));
    columns.sort_unstable();
    columns.dedup();
    let mut groups = Groups::default();
    // Rows that follow each other are often of one group: they are found once.
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
    let stats = scan_file(tables, plan, file, Wanted::Rows(&columns), &mut |found| {
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
    Ok((stats, groups))
}
