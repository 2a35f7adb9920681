//! `casebook search`: find events, count them, follow them.

mod counts;
mod coverage;
mod listing;
mod saved;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use casebook_event::Event;
use casebook_store::{FilesRead, Follow, SearchRequest, Store};

use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::{self, usage};
use crate::output::{counted, notice};
use crate::resolve::{stores, time_range};
use crate::unreadable;

/// How often a search that is followed looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Most events that are sorted by a field: those of them that matter are chosen by time.
const MAX_SORTED: usize = 100_000;

pub async fn run(args: SearchArgs) -> Result<ExitCode> {
    if args.saved {
        return saved::list();
    }
    let query = saved::resolve(&args.query)?;
    if let Some(name) = &args.save {
        return saved::save(name, &query);
    }
    let (from, to) = time_range::parse(&args.time)?;
    let store = stores::open_existing(&args.store).await?;
    let request = SearchRequest {
        query,
        from,
        to,
        sources: args.source.clone(),
        limit: args.limit,
        ..SearchRequest::default()
    };
    if args.follow {
        return follow(&args, &store, request).await;
    }
    let begun = Instant::now();
    let (matched, files) = if args.count || args.histogram.is_some() || !args.top.is_empty() {
        counts::print(&args, &store, request).await?
    } else {
        list(&args, &store, request).await?
    };
    if args.explain {
        explain(&files, begun.elapsed());
    }
    let coverage = store.coverage(from, to, &args.source).await?;
    let lacks = coverage::print(&coverage, to, files.scanned);
    if args.strict && !lacks.is_empty() {
        notice!(
            "casebook: --strict: the answer may lack something: {}",
            lacks.join("; ")
        );
        return Ok(exit_code::NO.into());
    }
    Ok(if matched > 0 {
        exit_code::OK
    } else {
        exit_code::NO.into()
    })
}

async fn list(args: &SearchArgs, store: &Store, request: SearchRequest) -> Result<(u64, FilesRead)> {
    let (field, down) = match args.sort.strip_prefix('-') {
        Some(field) => (field, true),
        None => (args.sort.as_str(), false),
    };
    let by_time = matches!(field, "time" | "@timestamp");
    let request = SearchRequest {
        newest_first: !by_time || down,
        limit: if by_time { args.limit } else { MAX_SORTED },
        ..request
    };
    let mut answer = store.search(request).await?;
    unreadable::tell(&answer.unreadable);
    if !by_time {
        listing::sort(&mut answer.rows, field, down);
        answer.rows.truncate(args.limit);
    }
    listing::print(&answer.rows, args)?;
    // A search stops when no further file can hold a row that belongs into the answer; then not all matches are counted.
    let at_least = if answer.counted_all { "" } else { "at least " };
    let of = match answer.rows.len() as u64 == answer.matched && answer.counted_all {
        true => String::new(),
        false => format!(" of {at_least}{}", answer.matched),
    };
    let events = if answer.rows.len() == 1 && of.is_empty() {
        "event"
    } else {
        "events"
    };
    notice!("casebook: {}{of} {events}", answer.rows.len());
    if !by_time && answer.matched > MAX_SORTED as u64 {
        notice!("casebook: the newest {MAX_SORTED} of them were sorted by {field}");
    }
    Ok((answer.matched, answer.files))
}

fn explain(files: &FilesRead, took: Duration) {
    let FilesRead {
        total,
        pruned,
        indexed,
        counted: by_column,
        scanned,
        unread,
        rows_read,
    } = *files;
    let total = counted(total as usize, "file");
    notice!(
        "explain: {total}: {pruned} left out by time and source, {unread} not needed beyond what the log says of them"
    );
    notice!(
        "explain: {indexed} asked by their index, {by_column} counted by one column, {scanned} without a usable index and read whole"
    );
    notice!("explain: {rows_read} rows read to be looked at; {took:.0?} in all");
}

/// Prints what is there, and then what comes.
async fn follow(args: &SearchArgs, store: &Store, request: SearchRequest) -> Result<ExitCode> {
    if args.output == SearchFormat::Parquet {
        return Err(usage(
            "--follow has no end, and a Parquet file needs one: take json or csv",
        ));
    }
    // It is to begin before the first look, so that nothing falls between the two; what is found twice is told once.
    let mut following = Follow::begin(
        store,
        SearchRequest {
            limit: usize::MAX,
            ..request.clone()
        },
    )
    .await?;
    let mut rows = unreadable::search(store, request).await?;
    rows.reverse();
    let mut lines = listing::Lines::new(args);
    let mut last: std::collections::HashSet<_> = rows.iter().map(|row: &Event| row.id).collect();
    lines.print(&rows)?;
    // One for the whole time: a Ctrl-C in the middle of a look must not be missed.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(exit_code::OK),
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
        let answer = following.look(store).await?;
        unreadable::tell(&answer.unreadable);
        let mut new = answer.rows;
        new.retain(|row| !last.contains(&row.id));
        last.clear();
        lines.print(&new)?;
    }
}
