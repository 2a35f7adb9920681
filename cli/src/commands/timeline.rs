//! `casebook timeline`: what happened to and by an entity, of all sources, in one order.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Alert, Source, Value};
use casebook_store::{AlertFilter, SearchRequest, Store};

use crate::args::{StoreArgs, TimeArgs, TimelineArgs};
use crate::commands::alert;
use crate::commands::evidence::short;
use crate::exit_code::{self, usage};
use crate::hints::Hints;
use crate::investigate::alerts::{cited, concerns};
use crate::investigate::clusters::Clusters;
use crate::investigate::entity_name::{Asked, EntityName, Kind, parse};
use crate::investigate::entity_query::{self, EntityQuery};
use crate::investigate::entry::{self, Entry};
use crate::investigate::gather::{self, Scope};
use crate::investigate::learned::Learned;
use crate::investigate::story::{Line, tell};
use crate::investigate::{AROUND_NANOS, MAX_EVENTS, subjects, wording};
use crate::output::OutputFormat;
use crate::output::{self, Rows, counted, escape, notice};
use crate::resolve::{stores, time_range};
use crate::unreadable;

/// Lines that are printed where no limit is said.
const DEFAULT_LIMIT: usize = 200;
/// Most events of which the record is read, since no field says what happened: the newest.
const MAX_RECORDS: usize = 2_000;

pub async fn run(args: TimelineArgs) -> Result<ExitCode> {
    let mut scope = scope(&args.time, &args.source)?;
    let store = stores::open_existing(&args.store).await?;
    let Some(entity) = named(&store, &args.entity, &scope, &args.store, "timeline").await? else {
        return Ok(exit_code::NO.into());
    };
    let entity = entity.in_cluster(args.cluster.as_deref()).map_err(usage)?;
    let Some(Subject {
        mut query,
        learned,
        around,
    }) = subject(&store, &entity, &scope).await?
    else {
        return Ok(exit_code::NO.into());
    };
    if args.text {
        query.texts.extend(entity_query::name_in_texts(&entity));
    }
    if let Some((from, to)) = around
        && scope.from.is_none()
        && scope.to.is_none()
    {
        scope.from = Some(from.saturating_add_nanos(-AROUND_NANOS));
        scope.to = Some(to.saturating_add_nanos(AROUND_NANOS));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_record = Vec::new();
    let mut clusters = Clusters::default();
    let read = gather::visit(&store, &query, &scope, MAX_EVENTS, entry::FIELDS, &mut |event| {
        if Entry::is_in_record(&event) && in_record.len() < MAX_RECORDS {
            in_record.push((event.time, event.id));
        }
        entries.push(Entry::of(&event));
        clusters.count(&event);
    })
    .await?;
    let whole = gather::by_ids(&store, in_record).await?;
    for entry in &mut entries {
        if let Some(event) = whole.get(&entry.id) {
            *entry = Entry::of(event);
        }
    }
    let ids: HashSet<_> = entries.iter().map(|entry| entry.id).collect();
    let alerts = alerts(&store, &scope, &ids, &query).await?;
    let cited = cited(&alerts);
    for entry in &mut entries {
        entry.cited = cited.contains(&entry.id);
    }
    if entries.is_empty() && alerts.is_empty() {
        nothing_found(&entity, &args);
        return Ok(exit_code::NO.into());
    }
    let gravest = alerts.first().map(|alert| short(alert).to_owned());
    let alert_count = alerts.len();
    let mut lines = tell(entries, alerts, args.all);
    let limit = args
        .limit
        .or((!args.all).then_some(DEFAULT_LIMIT))
        .unwrap_or(usize::MAX);
    let total = lines.len();
    lines.drain(..total.saturating_sub(limit));
    match args.output.output {
        OutputFormat::Table => output::print(&events_rows(&lines), OutputFormat::Table)?,
        format => output::print(&whole_rows(&lines), format)?,
    }

    let groups = lines
        .iter()
        .filter(|line| matches!(line, Line::Events(group) if group.count > 1));
    let only = if read.cut { "the latest " } else { "" };
    notice!(
        "casebook: {entity}: {only}{}, {}; {} of {}, {} of them groups",
        counted(read.events, "event"),
        counted(alert_count, "alert"),
        lines.len(),
        counted(total, "line"),
        groups.count(),
        entity = escape(&entity.to_string()),
    );
    if let Some(said) = clusters.ambiguous(&entity) {
        notice!("casebook: {said}");
    }
    if read.cut {
        notice!("casebook: more than {MAX_EVENTS} events are not read; --from, --to and --source narrow the story");
    }
    if total > lines.len() {
        notice!("casebook: the earlier lines are left out; --limit {total} shows them all");
    }
    let mut hints = Hints::new(&args.store);
    if let Some(id) = &gravest {
        hints.add(&["alert", "show", id]);
        hints.add(&["alert", "evidence", id]);
    }
    if !matches!(entity.kind, Kind::Alert | Kind::Event) {
        let words = entity.words();
        let words = ["entity", "show"].into_iter().chain(words.iter().map(String::as_str));
        hints.add(&words.collect::<Vec<_>>());
    }
    let events = lines.iter().rev().find_map(|line| match line {
        Line::Events(group) => Some(group.first.id),
        _ => None,
    });
    if let Some(id) = events {
        let id = &id.to_string()[..12];
        hints.add(&["search", &format!("id:{id}*"), "--output", "json"]);
    }
    also_asked_about(&entity, &learned, &mut hints);
    hints.print();
    Ok(exit_code::OK)
}

/// What an entity stood for, as entities to ask about next.
fn also_asked_about(entity: &EntityName, learned: &Learned, hints: &mut Hints) {
    use casebook_event::IdentifierKind as Id;
    const MOST: usize = 4;
    let wanted = |id: &casebook_event::Identifier| match (entity.kind, id.kind) {
        (Kind::Ip | Kind::Container | Kind::ServiceAccount, Id::PodName) => Some(format!("pod:{}", id.qualified())),
        (Kind::Ip | Kind::Pod | Kind::Container, Id::NodeName) => Some(format!("node:{}", id.qualified())),
        (Kind::Pod, Id::ServiceAccount) => Some(format!("sa:{}", id.qualified())),
        _ => None,
    };
    let mut names: Vec<String> = Vec::new();
    for pair in learned.pairs_of(&learned.names_of(entity)) {
        for id in [&pair.from, &pair.to] {
            if let Some(name) = wanted(id)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
    }
    for name in names.iter().take(MOST) {
        hints.add(&["timeline", name]);
    }
}

/// What is asked of the store about an entity.
pub struct Subject {
    /// Which events concern it.
    pub query: EntityQuery,
    /// What was learned about its names.
    pub learned: Learned,
    /// When it was, where it is an alert or an event.
    pub around: Option<(casebook_event::Timestamp, casebook_event::Timestamp)>,
}

/// What concerns an entity; `None` where it is an alert or an event that is not there, which is said.
pub async fn subject(store: &Store, entity: &EntityName, scope: &Scope) -> Result<Option<Subject>> {
    let (query, learned, around) = match entity.kind {
        Kind::Alert => {
            let Some(alert) = alert::by_id(store, &entity.value).await? else {
                return Ok(None);
            };
            let window = (alert.window.from, alert.window.to.max(alert.alert.time));
            (subjects::of_alert(&alert), Learned::default(), Some(window))
        }
        Kind::Event => {
            let request = SearchRequest {
                query: entity_query::by_name(entity).write().0,
                limit: 1,
                ..SearchRequest::default()
            };
            let Some(event) = unreadable::search(store, request).await?.pop() else {
                notice!(
                    "casebook: no event has an id that begins with `{}`; it may have expired",
                    escape(&entity.value)
                );
                return Ok(None);
            };
            (
                subjects::of_event(&event),
                Learned::default(),
                Some((event.time, event.time)),
            )
        }
        _ => {
            let (learned, read) = gather::learn(store, entity, scope).await?;
            if read.cut {
                notice!(
                    "casebook: its other names are learned from the latest events alone; --from and --to narrow them"
                );
            }
            (entity_query::by_all_names(entity, &learned), learned, None)
        }
    };
    if query.write().1 {
        notice!("casebook: it has more names than one query takes; some are left out");
    }
    Ok(Some(Subject { query, learned, around }))
}

/// The range of time and the sources of a command line.
pub fn scope(time: &TimeArgs, sources: &[Source]) -> Result<Scope> {
    let (from, to) = time_range::parse(time)?;
    Ok(Scope {
        from,
        to,
        sources: sources.to_vec(),
    })
}

/// The entity that is meant; what was guessed is said on stderr, with the commands for what else it could be. `None` where
/// nothing is seen as any of the guesses, which is said, too.
pub async fn named(
    store: &Store,
    text: &str,
    scope: &Scope,
    place: &StoreArgs,
    command: &str,
) -> Result<Option<EntityName>> {
    let guesses = match parse(text).map_err(usage)? {
        Asked::Named(entity) => return Ok(Some(entity)),
        Asked::Guessed(guesses) => guesses,
    };
    let Some(meant) = gather::ask(store, guesses, scope).await? else {
        return Ok(None);
    };
    if meant.count == 0 {
        notice!(
            "casebook: nothing is known of `{}`; say the kind where it is another one (pod:, user:, node:, ip:, …), or look for the word: casebook search '\"{}\"'",
            escape(text),
            escape(&text.replace(['"', '\''], " "))
        );
        return Ok(None);
    }
    notice!(
        "casebook: `{}` is taken for {} ({})",
        escape(text),
        escape(&meant.entity.to_string()),
        counted(
            usize::try_from(meant.count).unwrap_or(usize::MAX),
            if meant.entity.kind == Kind::Alert {
                "alert"
            } else {
                "event"
            }
        )
    );
    if !meant.others.is_empty() {
        let mut hints = Hints::new(place);
        hints.head = "It is also seen as:".to_owned();
        for (other, count) in &meant.others {
            let words: Vec<String> = command
                .split(' ')
                .map(str::to_owned)
                .chain([other.to_string()])
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            hints.add_with(&words, &format!("# {count}"));
        }
        hints.print();
    }
    Ok(Some(meant.entity))
}

/// The alerts of a range of time that concern an entity, the gravest first.
pub async fn alerts(
    store: &Store,
    scope: &Scope,
    events: &HashSet<casebook_event::EventId>,
    query: &EntityQuery,
) -> Result<Vec<Alert>> {
    let filter = AlertFilter {
        from: scope.from,
        to: scope.to,
        ..AlertFilter::default()
    };
    let mut alerts = store.alerts(filter).await?;
    alerts.retain(|alert| concerns(alert, events, query));
    alert::sort(&mut alerts);
    Ok(alerts)
}

fn nothing_found(entity: &EntityName, args: &TimelineArgs) {
    let narrowed = args.time.since.is_some() || args.time.from.is_some() || args.time.to.is_some();
    let advice = match (narrowed || !args.source.is_empty(), args.text) {
        (true, _) => "; --since, --from, --to or --source may leave it out",
        (false, false) => "; --text also takes events that have the name in their text",
        (false, true) => "",
    };
    notice!("casebook: no event concerns {}{advice}", escape(&entity.to_string()));
}

/// The lines for people.
pub fn events_rows(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(&["time", "source", "id", "who", "from", "what"]);
    let text = |text: &str| Value::str(text);
    for line in lines {
        rows.rows.push(match line {
            Line::Events(group) => {
                let entry = &group.first;
                vec![
                    Value::from(wording::brief(entry.time)),
                    text(entry.source.name()),
                    text(&entry.id.to_string()[..12]),
                    text(&entry.who),
                    text(entry.from.as_deref().unwrap_or_default()),
                    Value::from(wording::what(group)),
                ]
            }
            Line::Alert(raised) => vec![
                Value::from(wording::brief(line.time())),
                text("ALERT"),
                text(short(&raised.first)),
                text(""),
                text(""),
                Value::from(wording::alert(raised)),
            ],
            Line::Gap(from, to) => {
                let mut cells = vec![text(""); 5];
                cells.push(Value::from(wording::gap(*from, *to)));
                cells
            }
        });
    }
    rows
}

/// The lines for programs: ids and times whole, and every part by itself.
fn whole_rows(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(&[
        "line", "time", "until", "count", "source", "id", "last_id", "level", "who", "from", "action", "kind",
        "objects", "outcome", "detail", "routine", "cited",
    ]);
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::str);
    for line in lines {
        rows.rows.push(match line {
            Line::Events(group) => {
                let entry = &group.first;
                vec![
                    Value::str("events"),
                    Value::from(entry.time.to_string()),
                    Value::from(group.last.to_string()),
                    Value::Int(i64::try_from(group.count).unwrap_or(i64::MAX)),
                    Value::str(entry.source.name()),
                    Value::from(entry.id.to_string()),
                    Value::from(group.last_id.to_string()),
                    Value::Null,
                    Value::str(&entry.who),
                    text(&entry.from),
                    text(&entry.action),
                    text(&entry.kind),
                    Value::from(wording::objects(group)),
                    text(&entry.outcome),
                    text(&entry.detail),
                    Value::Bool(entry.routine),
                    Value::Bool(entry.cited),
                ]
            }
            Line::Alert(raised) => {
                let alert = &raised.first;
                let mut cells = vec![
                    Value::str("alert"),
                    Value::from(alert.alert.time.to_string()),
                    Value::from(raised.last.to_string()),
                    Value::Int(i64::try_from(raised.count).unwrap_or(i64::MAX)),
                    Value::Null,
                    Value::str(&alert.alert.id),
                    Value::Null,
                    Value::str(alert.rule.level.name()),
                ];
                cells.resize(14, Value::Null);
                cells.push(Value::str(&alert.rule.name));
                cells.resize(17, Value::Null);
                cells
            }
            Line::Gap(from, to) => {
                let mut cells = vec![
                    Value::str("gap"),
                    Value::from(from.to_string()),
                    Value::from(to.to_string()),
                    Value::Int(0),
                ];
                cells.resize(17, Value::Null);
                cells
            }
        });
    }
    rows
}
