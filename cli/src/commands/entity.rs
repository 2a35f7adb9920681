//! `casebook entity show`: what a pod, user, address, … is, by all that logs say of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_event::{Alert, Confidence, EventId, Identifier, IdentifierKind, Source, Timestamp, Value};
use serde_json::json;

use crate::args::{EntityCommand, EntityShowArgs, StoreArgs};
use crate::commands::alert;
use crate::commands::evidence::short;
use crate::commands::timeline::{self, Subject};
use crate::exit_code::{self, usage};
use crate::hints::Hints;
use crate::investigate::clusters::Clusters;
use crate::investigate::entity_name::{EntityName, Kind};
use crate::investigate::gather::{self, Read};
use crate::investigate::learned::Pair;
use crate::investigate::neighbours::{self, Neighbour, Neighbours};
use crate::investigate::{MAX_EVENTS, wording};
use crate::output::OutputFormat;
use crate::output::{self, Rows, counted, escape, notice};
use crate::resolve::stores;

/// Neighbours of each kind that are shown.
const MOST_NEIGHBOURS: usize = 5;
/// Bindings that a table shows; JSON has them all.
const MOST_BINDINGS: usize = 40;
/// Days that a table shows, the latest; JSON has them all.
const MOST_DAYS: usize = 31;
/// Alerts that a table shows, the gravest; JSON has them all.
const MOST_ALERTS: usize = 15;

pub async fn run(command: EntityCommand) -> Result<ExitCode> {
    match command {
        EntityCommand::Show(args) => show(args).await,
    }
}

/// All that is shown of an entity.
struct Profile {
    entity: EntityName,
    /// Its own names.
    names: BTreeSet<Identifier>,
    read: Read,
    seen: Option<(Timestamp, Timestamp)>,
    /// By the day's first moment and source.
    days: BTreeMap<(Timestamp, Source), u64>,
    alerts: Vec<Alert>,
    bindings: Vec<Pair>,
    neighbours: Vec<Neighbour>,
}

async fn show(args: EntityShowArgs) -> Result<ExitCode> {
    if args.output == OutputFormat::Csv {
        return Err(usage(
            "--output: an entity is shown as table or json; `casebook timeline` prints csv",
        ));
    }
    let scope = timeline::scope(&args.time, &[])?;
    let store = stores::open_existing(&args.store).await?;
    let Some(entity) = timeline::named(&store, &args.entity, &scope, &args.store, "entity show").await? else {
        return Ok(exit_code::NO.into());
    };
    let entity = entity.in_cluster(args.cluster.as_deref()).map_err(usage)?;
    if matches!(entity.kind, Kind::Alert | Kind::Event) {
        return Err(usage(format!(
            "{entity} is no entity: `casebook timeline {entity}` tells what happened around it"
        )));
    }
    let Some(Subject { query, learned, .. }) = timeline::subject(&store, &entity, &scope).await? else {
        return Ok(exit_code::NO.into());
    };
    let mut seen: Option<(Timestamp, Timestamp)> = None;
    let mut days: BTreeMap<(Timestamp, Source), u64> = BTreeMap::new();
    let mut ids: HashSet<EventId> = HashSet::new();
    let mut neighbours = Neighbours::default();
    let mut clusters = Clusters::default();
    let read = gather::visit(&store, &query, &scope, MAX_EVENTS, neighbours::FIELDS, &mut |event| {
        let time = event.time;
        seen = Some(seen.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let day = Timestamp::from_seconds(i64::from(time.days()).saturating_mul(86_400));
        *days.entry((day, event.source)).or_default() += 1;
        ids.insert(event.id);
        neighbours.count(&event);
        clusters.count(&event);
    })
    .await?;
    let alerts = timeline::alerts(&store, &scope, &ids, &query).await?;

    let names = learned.names_of(&entity);
    let profile = Profile {
        bindings: learned.pairs_of(&names),
        names,
        read,
        seen,
        days,
        alerts,
        neighbours: neighbours_of(&neighbours, &entity),
        entity,
    };
    if profile.read.events == 0 && profile.alerts.is_empty() {
        notice!(
            "casebook: no event concerns {}; `casebook search '\"…\"'` looks for a word",
            escape(&profile.entity.to_string())
        );
        return Ok(exit_code::NO.into());
    }
    if args.output == OutputFormat::Json {
        print_json(&profile)?;
    } else {
        print_table(&profile)?;
    }
    if let Some(said) = clusters.ambiguous(&profile.entity) {
        notice!("casebook: {said}");
    }
    if read.cut {
        notice!("casebook: the latest {MAX_EVENTS} events were read, there are more; --from and --to narrow them");
    }
    go_on(&profile, &args.store);
    Ok(exit_code::OK)
}

/// The neighbours with the most events, without the entity under another form of its name.
fn neighbours_of(neighbours: &Neighbours, entity: &EntityName) -> Vec<Neighbour> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut top = neighbours.top(MOST_NEIGHBOURS + 1, &entity.value);
    top.retain(|neighbour| {
        let count = counts.entry(neighbour.kind).or_default();
        let own = pivot(neighbour).is_some_and(|name| name == entity.to_string());
        *count += usize::from(!own);
        !own && *count <= MOST_NEIGHBOURS
    });
    top
}

fn go_on(profile: &Profile, store: &StoreArgs) {
    let mut hints = Hints::new(store);
    let words = profile.entity.words();
    let words: Vec<&str> = std::iter::once("timeline")
        .chain(words.iter().map(String::as_str))
        .collect();
    hints.add(&words);
    if let Some(alert) = profile.alerts.first() {
        hints.add(&["alert", "show", short(alert)]);
    }
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    for neighbour in &profile.neighbours {
        if let Some(name) = pivot(neighbour).filter(|_| kinds.insert(neighbour.kind)) {
            hints.add(&["entity", "show", &name]);
        }
    }
    hints.print();
}

/// A neighbour as an entity to ask about.
fn pivot(neighbour: &Neighbour) -> Option<String> {
    let value = &neighbour.value;
    let kind = match neighbour.kind {
        "user" => match value.strip_prefix("system:serviceaccount:") {
            Some(_) => Kind::ServiceAccount,
            None if value.starts_with("system:node:") => Kind::Node,
            None => Kind::User,
        },
        "source ip" => Kind::Ip,
        "destination" if value.parse::<std::net::IpAddr>().is_ok() => Kind::Ip,
        "pod" => Kind::Pod,
        "node" => Kind::Node,
        "image" => Kind::Image,
        "process" => Kind::Process,
        _ => return None,
    };
    EntityName::new(kind, value).ok().map(|name| name.to_string())
}

fn print_table(profile: &Profile) -> Result<()> {
    let mut out = output::lines();
    writeln!(out, "{} {}", profile.entity.kind.word(), escape(&profile.entity.value))?;
    if let Some(cluster) = &profile.entity.cluster {
        writeln!(out, "{:<13} {}", "cluster", escape(cluster))?;
    }
    let is_own = |id: &Identifier| *id.value == *profile.entity.value && profile.entity.is_in(&id.cluster);
    for id in profile.names.iter().filter(|id| !is_own(id) || !id.cluster.is_empty()) {
        writeln!(out, "{:<13} {}", kind_word(id.kind), escape(&id.qualified()))?;
    }
    if let Some((first, last)) = profile.seen {
        writeln!(
            out,
            "{:<13} {} to {} ({})",
            "seen",
            wording::brief(first),
            wording::brief(last),
            wording::span(first, last)
        )?;
    }
    writeln!(out, "{:<13} {}", "events", profile.read.events)?;
    section(&mut out, "events by day", &day_rows(profile))?;
    let mut alerts = alert::rows(profile.alerts.get(..MOST_ALERTS).unwrap_or(&profile.alerts));
    keep(&mut alerts, &["id", "level", "time", "events", "sources", "rule"]);
    section(&mut out, "alerts", &alerts)?;
    left_out(&mut out, profile.alerts.len(), MOST_ALERTS, "alert")?;
    section(&mut out, "bindings", &binding_rows(&profile.bindings))?;
    left_out(&mut out, profile.bindings.len(), MOST_BINDINGS, "binding")?;
    let mut rows = Rows::new(&["kind", "events", "name"]);
    for neighbour in &profile.neighbours {
        rows.rows.push(vec![
            Value::str(neighbour.kind),
            count(neighbour.events),
            Value::from(pivot(neighbour).unwrap_or_else(|| neighbour.value.clone())),
        ]);
    }
    section(&mut out, "neighbours", &rows)
}

fn section(out: &mut impl std::io::Write, title: &str, rows: &Rows) -> Result<()> {
    if rows.rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    out.flush()?;
    output::print(rows, OutputFormat::Table)
}

fn left_out(out: &mut impl std::io::Write, total: usize, shown: usize, what: &str) -> Result<()> {
    if total > shown {
        writeln!(
            out,
            "and {}; --output json has them all",
            counted(total - shown, &format!("more {what}"))
        )?;
    }
    Ok(())
}

/// Only these columns, in this order.
fn keep(rows: &mut Rows, columns: &[&str]) {
    let places: Vec<usize> = columns
        .iter()
        .filter_map(|name| rows.columns.iter().position(|known| known == name))
        .collect();
    for row in &mut rows.rows {
        *row = places.iter().filter_map(|at| row.get(*at).cloned()).collect();
    }
    rows.columns = columns.iter().map(|&name| name.to_owned()).collect();
}

fn count(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn date(day: Timestamp) -> String {
    day.to_string().chars().take(10).collect()
}

/// A row for each day, a column for each source.
fn day_rows(profile: &Profile) -> Rows {
    let sources: BTreeSet<Source> = profile.days.keys().map(|(_, source)| *source).collect();
    let days: BTreeSet<Timestamp> = profile.days.keys().map(|(day, _)| *day).collect();
    let names: Vec<&str> = ["day"]
        .into_iter()
        .chain(sources.iter().map(|source| source.name()))
        .collect();
    let mut rows = Rows::new(&names);
    for day in days.iter().skip(days.len().saturating_sub(MOST_DAYS)) {
        let counts = sources
            .iter()
            .map(|source| count(profile.days.get(&(*day, *source)).copied().unwrap_or_default()));
        rows.rows
            .push([Value::from(date(*day))].into_iter().chain(counts).collect());
    }
    rows
}

fn binding_rows(bindings: &[Pair]) -> Rows {
    let mut rows = Rows::new(&["from", "to", "told", "confidence", "by", "what", "is"]);
    for pair in bindings.iter().take(MOST_BINDINGS) {
        let last = match pair.ended {
            Some(end) => format!("{} †", wording::brief(end)),
            None => wording::brief(pair.last),
        };
        rows.rows.push(vec![
            Value::from(wording::brief(pair.first)),
            Value::from(last),
            count(pair.times),
            Value::str(confidence(pair.confidence)),
            Value::from(snake(&format!("{:?}", pair.how))),
            Value::from(format!("{} {}", kind_word(pair.from.kind), pair.from.qualified())),
            Value::from(format!("{} {}", kind_word(pair.to.kind), pair.to.qualified())),
        ]);
    }
    rows
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guessed => "guessed",
        Confidence::Likely => "likely",
        Confidence::Certain => "certain",
    }
}

fn kind_word(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::PodUid => "pod uid",
        IdentifierKind::PodName => "pod",
        IdentifierKind::PodIp => "pod ip",
        IdentifierKind::ContainerId => "container",
        IdentifierKind::NodeName => "node",
        IdentifierKind::NodeIp => "node ip",
        IdentifierKind::InstanceId => "machine",
        IdentifierKind::Image => "image",
        IdentifierKind::ServiceAccount => "sa",
        IdentifierKind::Workload => "workload",
        IdentifierKind::RoleSession => "session",
        IdentifierKind::Identity => "user",
    }
}

/// `AuditPod` as `audit_pod`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn print_json(profile: &Profile) -> Result<()> {
    let id = |id: &Identifier| {
        let mut object = json!({ "kind": snake(&format!("{:?}", id.kind)), "value": id.value });
        if !id.cluster.is_empty() {
            object["cluster"] = json!(id.cluster);
        }
        object
    };
    let object = json!({
        "entity": profile.entity.to_string(),
        "kind": profile.entity.kind.word(),
        "name": profile.entity.value,
        "cluster": profile.entity.cluster,
        "names": profile.names.iter().map(id).collect::<Vec<_>>(),
        "first_seen": profile.seen.map(|(first, _)| first.to_string()),
        "last_seen": profile.seen.map(|(_, last)| last.to_string()),
        "events": profile.read.events,
        "cut": profile.read.cut,
        "days": profile.days.iter().map(|((day, source), events)| json!({
            "day": date(*day), "source": source.name(), "events": events,
        })).collect::<Vec<_>>(),
        "alerts": profile.alerts.iter().map(|alert| json!({
            "id": alert.alert.id,
            "level": alert.rule.level.name(),
            "time": alert.alert.time.to_string(),
            "rule": alert.rule.name,
            "events": alert.evidence_total,
        })).collect::<Vec<_>>(),
        "bindings": profile.bindings.iter().map(|pair| json!({
            "from": id(&pair.from),
            "to": id(&pair.to),
            "first": pair.first.to_string(),
            "last": pair.last.to_string(),
            "ended": pair.ended.map(|end| end.to_string()),
            "told": pair.times,
            "confidence": confidence(pair.confidence),
            "by": snake(&format!("{:?}", pair.how)),
        })).collect::<Vec<_>>(),
        "neighbours": profile.neighbours.iter().map(|neighbour| json!({
            "kind": neighbour.kind,
            "name": neighbour.value,
            "entity": pivot(neighbour),
            "events": neighbour.events,
        })).collect::<Vec<_>>(),
    });
    let mut out = output::lines();
    output::write_json(&object, &mut out)?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_can_be_asked_about() {
        let check = |kind: &'static str, value: &str, want: Option<&str>| {
            let neighbour = Neighbour {
                kind,
                value: value.to_owned(),
                events: 1,
            };
            assert_eq!(pivot(&neighbour).as_deref(), want, "{kind} {value}");
        };
        check(
            "user",
            "system:serviceaccount:prod:web",
            Some("serviceaccount:prod/web"),
        );
        check("user", "alice", Some("user:alice"));
        check("user", "system:node:n1", Some("node:n1"));
        check("destination", "10.0.0.1", Some("ip:10.0.0.1"));
        check("destination", "sts.amazonaws.com", None);
        check("pod", "prod/web-1", Some("pod:prod/web-1"));
        assert_eq!(snake("AuditPodStatus"), "audit_pod_status");
    }
}
