//! `casebook store stats`: what there is.

use std::process::ExitCode;

use anyhow::Result;
use casebook_event::Value;
use casebook_store::{DateCounts, Store, TableName};

use crate::args::{StatsArgs, StatsBy};
use crate::exit_code;
use crate::output::{self, Rows, count};
use crate::resolve::stores;

const COUNTS: [&str; 6] = [
    "files",
    "rows",
    "bytes",
    "index_bytes",
    "small_files",
    "files_without_index",
];

pub async fn run(args: StatsArgs) -> Result<ExitCode> {
    let store = stores::open_existing(&args.store).await?;
    let rows = match args.by {
        StatsBy::Table => by_table(&store).await?,
        StatsBy::Date => by_date(&store).await?,
        StatsBy::Source => by_source(&store).await?,
        StatsBy::Topic => by_topic(&store).await?,
    };
    output::print(&rows, args.output.output)?;
    Ok(exit_code::OK)
}

fn counts(counts: &DateCounts) -> impl Iterator<Item = Value> {
    [
        counts.files,
        counts.rows,
        counts.bytes,
        counts.index_bytes,
        counts.small_files,
        counts.unindexed_files,
    ]
    .into_iter()
    .map(count)
}

async fn by_table(store: &Store) -> Result<Rows> {
    let mut names = vec!["table", "version"];
    names.extend(COUNTS);
    names.extend(["dates", "first_date", "last_date", "removed_files", "log_bytes"]);
    let mut rows = Rows::new(&names);
    for &table in TableName::ALL {
        let found = store.table_counts(table).await?;
        let date = |date: Option<(&String, &DateCounts)>| date.map_or(Value::Null, |(date, _)| Value::str(date));
        let mut row = vec![Value::str(table.name()), count(found.version)];
        row.extend(counts(&found.counts));
        row.extend([
            count(found.dates.len() as u64),
            date(found.dates.first_key_value()),
            date(found.dates.last_key_value()),
            count(found.removed_files),
            count(found.log_bytes),
        ]);
        rows.rows.push(row);
    }
    Ok(rows)
}

async fn by_date(store: &Store) -> Result<Rows> {
    let mut names = vec!["table", "date"];
    names.extend(COUNTS);
    let mut rows = Rows::new(&names);
    for &table in TableName::ALL {
        for (date, found) in store.table_counts(table).await?.dates {
            let mut row = vec![Value::str(table.name()), Value::from(date)];
            row.extend(counts(&found));
            rows.rows.push(row);
        }
    }
    Ok(rows)
}

async fn by_topic(store: &Store) -> Result<Rows> {
    let mut rows = Rows::new(&["topic", "partitions", "read_to_end", "committed"]);
    for topic in store.topic_coverage().await? {
        let time = |time: Option<casebook_event::Timestamp>| time.map_or(Value::Null, |t| Value::from(t.to_string()));
        rows.rows.push(vec![
            Value::from(topic.topic),
            count(topic.partitions),
            time(topic.read_to_end),
            time(topic.committed),
        ]);
    }
    Ok(rows)
}

async fn by_source(store: &Store) -> Result<Rows> {
    let mut rows = Rows::new(&["source", "rows", "files", "not_before", "not_after"]);
    for (source, found) in store.source_counts().await? {
        let time = |time: Option<casebook_event::Timestamp>| time.map_or(Value::Null, |t| Value::from(t.to_string()));
        rows.rows.push(vec![
            Value::from(source),
            count(found.rows),
            count(found.files),
            time(found.from),
            time(found.to),
        ]);
    }
    Ok(rows)
}
