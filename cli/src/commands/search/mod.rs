//! `casebook search`: find events, count them, follow them.

mod counts;
mod follow;
mod outcome;
mod saved;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use casebook_investigate::archive::Archive;
use casebook_investigate::limits::MAX_SORTED_EVENTS;
use casebook_investigate::search::{FoundEvents, Order, events};
use casebook_store::{FilesRead, SearchRequest, to_parquet};

use self::outcome::Outcome;
use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::{self, usage};
use crate::output::answers::coverage;
use crate::output::answers::events::EventsLayout;
use crate::output::{counted, notice, print_answer, write_binary};
use crate::resolve::{stores, time_range};
use crate::unreadable;

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
        return follow::run(&args, &store, request).await;
    }
    let archive = stores::archive(&store);
    let begun = Instant::now();
    let Outcome {
        matched,
        files,
        coverage,
    } = if args.count || args.histogram.is_some() || !args.top.is_empty() {
        counts::print(&args, &archive, request).await?
    } else {
        list(&args, &archive, request).await?
    };
    if args.explain {
        explain(&files, begun.elapsed());
    }
    if let Some(reason) = coverage.unknown {
        bail!(reason);
    }
    coverage::print(&coverage);
    let lacks = coverage::lacks(&coverage);
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

async fn list(args: &SearchArgs, archive: &Archive<'_>, request: SearchRequest) -> Result<Outcome> {
    let order = Order::parse(&args.sort);
    let answer = events(archive, request, &order).await?;
    unreadable::report(&archive.unreadable());
    let found = &answer.data;
    if args.output == SearchFormat::Parquet && args.fields.is_empty() {
        print_parquet(found)?;
    } else {
        let layout = EventsLayout {
            found,
            fields: &args.fields,
        };
        print_answer(&answer, &layout, args.output.of_rows()?)?;
    }
    // A search stops when no further file can hold a row that belongs into the answer; then not all matches are counted.
    let shown = found.events.len();
    let at_least = if found.counted_all { "" } else { "at least " };
    let of = match shown as u64 == found.matched && found.counted_all {
        true => String::new(),
        false => format!(" of {at_least}{}", found.matched),
    };
    let events = if shown == 1 && of.is_empty() { "event" } else { "events" };
    notice!("casebook: {shown}{of} {events}");
    if !order.is_of_time() && found.matched > MAX_SORTED_EVENTS as u64 {
        notice!(
            "casebook: the newest {MAX_SORTED_EVENTS} of them were sorted by {}",
            order.field
        );
    }
    Ok(Outcome {
        matched: found.matched,
        files: found.files,
        coverage: answer.coverage,
    })
}

fn print_parquet(found: &FoundEvents) -> Result<()> {
    match write_binary(&to_parquet(&found.events)?)? {
        true => Ok(()),
        false => Err(usage(
            "a Parquet file is nothing for a terminal: write it to a file with > events.parquet",
        )),
    }
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
