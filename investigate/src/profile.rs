//! What an entity is, by all that logs say of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use casebook_event::{Alert, Event, EventId, Identifier, Source, Timestamp};
use casebook_store::StoreError;
use serde::{Serialize, Serializer};

use crate::alerts;
use crate::answer::{Answer, Statement};
use crate::archive::{Archive, Scope};
use crate::coverage::Dropped;
use crate::entity::{Clusters, EntityName, ObservedBinding, Subject};
use crate::limits::MAX_EVENTS;
use crate::neighbors::{self, Neighbor, NeighborCounts};
use crate::timeline::of_clusters;

/// Neighbors of each kind that are named.
const MOST_NEIGHBORS: usize = 5;

/// All that is known of an entity.
#[derive(Debug, Clone, Serialize)]
pub struct Profile {
    /// The entity.
    pub entity: EntityName,
    /// The word for its kind.
    pub kind: &'static str,
    /// Its name, without kind and cluster.
    pub name: String,
    /// The cluster that is meant, where one was said.
    pub cluster: Option<String>,
    /// Its own names.
    pub names: BTreeSet<Identifier>,
    /// The time of its first event of those that were read.
    pub first_seen: Option<Timestamp>,
    /// The time of its last event.
    pub last_seen: Option<Timestamp>,
    /// How many events were read.
    pub events: u64,
    /// Whether there are more: the earliest were not read.
    pub cut: bool,
    /// How many events of each day and source.
    pub days: Vec<DayCount>,
    /// The alerts that concern it, the gravest first.
    #[serde(serialize_with = "in_short")]
    pub alerts: Vec<Alert>,
    /// What it stood for, and what stood for it.
    #[serde(serialize_with = "graded")]
    pub bindings: Vec<ObservedBinding>,
    /// What else its events name.
    #[serde(rename = "neighbours", serialize_with = "with_entities")]
    pub neighbors: Vec<Neighbor>,
}

impl Profile {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.alerts.is_empty()
    }
}

/// Events of one day and source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// The day, as `2026-11-28`.
    pub day: String,
    /// The source.
    pub source: Source,
    /// How many.
    pub events: u64,
}

/// What an entity is.
///
/// # Errors
/// A log or the table of alerts cannot be read.
pub async fn profile(archive: &Archive<'_>, subject: &Subject, scope: &Scope) -> Result<Answer<Profile>, StoreError> {
    let entity = &subject.entity;
    let mut seen: Option<(Timestamp, Timestamp)> = None;
    let mut days: BTreeMap<(Timestamp, Source), u64> = BTreeMap::new();
    let mut ids: HashSet<EventId> = HashSet::new();
    let mut counts = NeighborCounts::default();
    let mut clusters = Clusters::default();
    let mut add = |event: Event| {
        let time = event.time;
        seen = Some(seen.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let day = Timestamp::from_seconds(i64::from(time.days()).saturating_mul(86_400));
        *days.entry((day, event.source)).or_default() += 1;
        ids.insert(event.id);
        counts.count(&event);
        clusters.count(&event);
    };
    let visit = archive.visit(&subject.query, scope, MAX_EVENTS, neighbors::FIELDS, &mut add);
    let (read, coverage) = tokio::join!(visit, archive.coverage(scope));
    let read = read?;
    let alerts = alerts::about(archive, scope, &ids, &subject.query).await?;
    let names = subject.bindings.names_of(entity);
    let bindings = subject.bindings.bindings_among(&names);
    let days = days.into_iter().map(|((day, source), events)| DayCount {
        day: day.to_string().chars().take(10).collect(),
        source,
        events,
    });
    let statements = bindings.iter().map(of_binding).chain(of_clusters(&clusters, entity));
    let statements = statements.collect();
    let data = Profile {
        entity: entity.clone(),
        kind: entity.kind.word(),
        name: entity.value.clone(),
        cluster: entity.cluster.clone(),
        names,
        first_seen: seen.map(|(first, _)| first),
        last_seen: seen.map(|(_, last)| last),
        events: read.events as u64,
        cut: read.cut,
        days: days.collect(),
        alerts,
        bindings,
        neighbors: nearest(&counts, entity),
    };
    let mut dropped = subject.dropped.clone();
    dropped.extend(read.cut.then_some(Dropped::Events {
        limit: MAX_EVENTS as u64,
    }));
    Ok(archive.answer(data, statements, coverage, dropped))
}

/// The neighbors with the most events, without the entity under another form of its name.
fn nearest(counts: &NeighborCounts, entity: &EntityName) -> Vec<Neighbor> {
    let mut of_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut top = counts.top(MOST_NEIGHBORS + 1, &entity.value);
    top.retain(|neighbor| {
        let count = of_kind.entry(neighbor.kind).or_default();
        let own = neighbor.entity().is_some_and(|name| name == entity.to_string());
        *count += usize::from(!own);
        !own && *count <= MOST_NEIGHBORS
    });
    top
}

fn of_binding(binding: &ObservedBinding) -> Statement {
    Statement {
        about: binding.from.to_string(),
        is: Some(binding.to.to_string()),
        grade: binding.grade(),
        by: vec![format!("{:?}", binding.how)],
    }
}

/// An alert as it is listed beside an entity.
#[derive(Serialize)]
struct AlertInShort<'a> {
    id: &'a str,
    level: &'static str,
    time: Timestamp,
    rule: &'a str,
    events: u64,
}

fn in_short<S: Serializer>(alerts: &[Alert], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(alerts.iter().map(|alert| AlertInShort {
        id: &alert.alert.id,
        level: alert.rule.level.name(),
        time: alert.alert.time,
        rule: &alert.rule.name,
        events: alert.evidence_total,
    }))
}

#[derive(Serialize)]
struct Graded<'a> {
    #[serde(flatten)]
    binding: &'a ObservedBinding,
    grade: &'static str,
}

fn graded<S: Serializer>(bindings: &[ObservedBinding], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(bindings.iter().map(|binding| Graded {
        binding,
        grade: binding.grade().word(),
    }))
}

#[derive(Serialize)]
struct WithEntity<'a> {
    kind: &'static str,
    name: &'a str,
    entity: Option<String>,
    events: u64,
}

fn with_entities<S: Serializer>(neighbors: &[Neighbor], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(neighbors.iter().map(|neighbor| WithEntity {
        kind: neighbor.kind,
        name: &neighbor.value,
        entity: neighbor.entity(),
        events: neighbor.events,
    }))
}
