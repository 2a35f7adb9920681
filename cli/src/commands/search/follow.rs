//! `--follow`: what is there, and then what comes.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use casebook_event::{Event, EventId};
use casebook_store::{SearchRequest, Store};

use crate::args::{SearchArgs, SearchFormat};
use crate::exit_code::{self, usage};
use crate::output::answers::events::event_rows;
use crate::output::{self, OutputFormat};
use crate::unreadable;

/// How often a search that is followed looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// Prints what is there, and then what comes.
pub async fn run(args: &SearchArgs, store: &Store, request: SearchRequest) -> Result<ExitCode> {
    match args.output {
        SearchFormat::Parquet => {
            return Err(usage(
                "--follow has no end, and a Parquet file needs one: take json or csv",
            ));
        }
        SearchFormat::Envelope => {
            return Err(usage(
                "--follow has no end, and an envelope needs one: take json or csv",
            ));
        }
        SearchFormat::Table | SearchFormat::Json | SearchFormat::Csv => {}
    }
    // It is to begin before the first search, so that nothing falls between the two; what is found twice is printed once.
    let mut following = store
        .follow(SearchRequest {
            limit: usize::MAX,
            ..request.clone()
        })
        .await?;
    let answer = store.search(request).await?;
    unreadable::report(&answer.unreadable);
    let mut rows = answer.rows;
    rows.reverse();
    let mut lines = Lines::new(args);
    let mut last: HashSet<EventId> = rows.iter().map(|row| row.id).collect();
    lines.print(&rows)?;
    // One for the whole time: a Ctrl-C in the middle of a search must not be missed.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            _ = &mut interrupted => return Ok(exit_code::OK),
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
        }
        let answer = following.poll().await?;
        unreadable::report(&answer.unreadable);
        let mut new = answer.rows;
        new.retain(|row| !last.contains(&row.id));
        last.clear();
        lines.print(&new)?;
    }
}

/// Events that are printed as they come: a header is printed once.
struct Lines<'a> {
    args: &'a SearchArgs,
    begun: bool,
}

impl<'a> Lines<'a> {
    fn new(args: &'a SearchArgs) -> Self {
        Self { args, begun: false }
    }

    fn print(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        if self.args.output == SearchFormat::Json && self.args.fields.is_empty() {
            let mut out = output::lines();
            for event in events {
                output::write_json(&event.to_ecs(), &mut out)?;
            }
            return Ok(out.flush()?);
        }
        let format = match self.args.output {
            SearchFormat::Csv => OutputFormat::Csv,
            SearchFormat::Json => OutputFormat::Json,
            _ => OutputFormat::Table,
        };
        output::print_on(&event_rows(events, &self.args.fields), format, !self.begun)?;
        self.begun = true;
        Ok(())
    }
}
