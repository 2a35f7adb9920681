//! `casebook timeline`: what happened to and by an entity, of all sources, in one order.

use std::process::ExitCode;

use anyhow::Result;
use casebook_investigate::entity::{EntityName, Kind};
use casebook_investigate::limits::MAX_EVENTS;
use casebook_investigate::story::Line;
use casebook_investigate::timeline::{Timeline, TimelineRequest, timeline};

use super::subject::{self, Named};
use crate::args::{StoreArgs, TimelineArgs};
use crate::exit_code::{self, usage};
use crate::hints::Hints;
use crate::output::answers::timeline::TimelineLayout;
use crate::output::{counted, escape, notice, print_answer};
use crate::resolve::{stores, time_range};
use crate::unreadable;

/// Lines that are printed where no limit is said.
const DEFAULT_LIMIT: usize = 200;

pub async fn run(args: TimelineArgs) -> Result<ExitCode> {
    let scope = time_range::scope(&args.time, &args.source)?;
    let store = stores::open_existing(&args.store).await?;
    let archive = stores::archive(&store);
    let found = subject::named(&archive, &args.entity, &scope, &args.store, "timeline").await?;
    let Some(Named { entity, statement }) = found else {
        return Ok(exit_code::NO.into());
    };
    let entity = entity.in_cluster(args.cluster.as_deref()).map_err(usage)?;
    let Some(subject) = subject::with_all_names(&archive, entity, &scope).await? else {
        return Ok(exit_code::NO.into());
    };
    let request = TimelineRequest {
        scope,
        all: args.all,
        text: args.text,
        limit: args.limit.or((!args.all).then_some(DEFAULT_LIMIT)),
    };
    let mut answer = timeline(&archive, &subject, &request).await?;
    unreadable::report(&archive.unreadable());
    answer.statements.extend(statement);
    if answer.data.is_empty() {
        report_nothing(&subject.entity, &args);
        return Ok(exit_code::NO.into());
    }
    print_answer(&answer, &TimelineLayout(&answer.data), args.output.output)?;
    report_extent(&answer.data);
    subject::report_clusters(&subject.entity, &answer.statements);
    if answer.data.cut {
        notice!("casebook: more than {MAX_EVENTS} events are not read; --from, --to and --source narrow the story");
    }
    if answer.data.total_lines > answer.data.lines.len() as u64 {
        notice!(
            "casebook: the earlier lines are left out; --limit {} shows them all",
            answer.data.total_lines
        );
    }
    hint(&answer.data, &args.store);
    Ok(exit_code::OK)
}

/// How much of the story there is.
fn report_extent(story: &Timeline) {
    let groups = story
        .lines
        .iter()
        .filter(|line| matches!(line, Line::Events(group) if group.count > 1));
    let only = if story.cut { "the latest " } else { "" };
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    notice!(
        "casebook: {entity}: {only}{}, {}; {} of {}, {} of them groups",
        counted(size(story.events), "event"),
        counted(size(story.alerts), "alert"),
        story.lines.len(),
        counted(size(story.total_lines), "line"),
        groups.count(),
        entity = escape(&story.entity.to_string()),
    );
}

/// Commands to go on with.
fn hint(story: &Timeline, place: &StoreArgs) {
    let mut hints = Hints::new(place);
    if let Some(id) = &story.gravest_alert {
        let id = id.get(..12).unwrap_or(id);
        hints.add(&["alert", "show", id]);
        hints.add(&["alert", "evidence", id]);
    }
    if !matches!(story.entity.kind, Kind::Alert | Kind::Event) {
        let words = story.entity.words();
        let words = ["entity", "show"].into_iter().chain(words.iter().map(String::as_str));
        hints.add(&words.collect::<Vec<_>>());
    }
    let events = story.lines.iter().rev().find_map(|line| match line {
        Line::Events(group) => Some(group.first.id),
        _ => None,
    });
    if let Some(id) = events {
        let id = &id.to_string()[..12];
        hints.add(&["search", &format!("id:{id}*"), "--output", "json"]);
    }
    for name in &story.also {
        hints.add(&["timeline", name]);
    }
    hints.print();
}

fn report_nothing(entity: &EntityName, args: &TimelineArgs) {
    let narrowed = args.time.since.is_some() || args.time.from.is_some() || args.time.to.is_some();
    let advice = match (narrowed || !args.source.is_empty(), args.text) {
        (true, _) => "; --since, --from, --to or --source may leave it out",
        (false, false) => "; --text also takes events that have the name in their text",
        (false, true) => "",
    };
    notice!("casebook: no event concerns {}{advice}", escape(&entity.to_string()));
}
