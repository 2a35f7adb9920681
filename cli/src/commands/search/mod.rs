//! `casebook search`: find events, count them, follow them.

mod counts;
mod coverage;
mod listing;
mod saved;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use casebook_event::Source;
use casebook_store::{FilesRead, FoundEvent, SearchRequest, Store};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use crate::args::{OutputFormat, StoreArgs, TimeArgs};
use crate::exit_code::{self, usage};
use crate::output::{counted, notice};
use crate::{stores, time_range, unreadable};

/// How often a search that is followed looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Most events that are sorted by a field: those of them that matter are chosen by time.
const MAX_SORTED: usize = 100_000;

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to find: words, "phrases", field:value, ranges, AND, OR, NOT, ( ), * and ?; @name for a saved one; nothing for all. See docs/query-language.md
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    output: SearchFormat,
    /// Only these sources
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    source: Vec<Source>,
    /// Only these fields, by ECS name, short name or path into the source's record
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    fields: Vec<String>,
    /// Print at most so many events, or groups
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// Order: `-time` (newest first), `time` (oldest first), or a field, with `-` in front for downwards
    #[arg(long, value_name = "FIELD", default_value = "-time", allow_hyphen_values = true)]
    sort: String,
    /// Print only how many events match
    #[arg(long, conflicts_with_all = ["histogram", "top", "follow"])]
    count: bool,
    /// Count the events of each span of time: 5m, 1h, 1d
    #[arg(long, value_name = "SPAN", conflicts_with = "follow")]
    histogram: Option<String>,
    /// Count the most frequent values of these fields (of their combinations, where there are several)
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with = "follow", value_parser = NonEmptyStringValueParser::new())]
    top: Vec<String>,
    /// Go on, and print what is committed from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Say on stderr what was read for the answer
    #[arg(long)]
    explain: bool,
    /// Exit with 1 where the answer may lack something
    #[arg(long)]
    strict: bool,
    /// Keep the query under this name: `search @NAME` runs it
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// List the saved queries
    #[arg(long)]
    saved: bool,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SearchFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// A Parquet file with the columns of the events table
    Parquet,
}

impl SearchFormat {
    /// The format of what is no list of events.
    fn of_rows(self) -> Result<OutputFormat> {
        match self {
            Self::Table => Ok(OutputFormat::Table),
            Self::Json => Ok(OutputFormat::Json),
            Self::Csv => Ok(OutputFormat::Csv),
            Self::Parquet => Err(usage(
                "--output parquet is for whole events: leave out --fields and what counts",
            )),
        }
    }
}

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
    let mut following = store
        .follow(SearchRequest {
            limit: usize::MAX,
            ..request.clone()
        })
        .await?;
    let mut rows = unreadable::search(store, request).await?;
    rows.reverse();
    let mut lines = listing::Lines::new(args);
    let mut last: std::collections::HashSet<_> = rows.iter().map(|row: &FoundEvent| row.event_id).collect();
    lines.print(&rows)?;
    // One for the whole time: a Ctrl-C in the middle of a look must not be missed.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(exit_code::OK),
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
        let answer = following.poll().await?;
        unreadable::tell(&answer.unreadable);
        let mut new = answer.rows;
        new.retain(|row| !last.contains(&row.event_id));
        last.clear();
        lines.print(&new)?;
    }
}

/// Writes bytes that no terminal should be given.
fn write_binary(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        return Err(usage(
            "a Parquet file is nothing for a terminal: write it to a file with > events.parquet",
        ));
    }
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}
