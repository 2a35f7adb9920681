//! What happened to and by an entity, of all sources, in one order.

use std::collections::HashSet;

use casebook_event::{EventId, IdentifierKind, Timestamp};
use casebook_store::StoreError;
use serde::{Serialize, Serializer};

use crate::alerts;
use crate::answer::{Answer, Grade, Statement};
use crate::archive::{Archive, Scope};
use crate::coverage::Dropped;
use crate::entity::{Clusters, EntityName, Kind, Subject, name_in_texts};
use crate::limits::{AROUND_NANOS, MAX_EVENTS, MAX_RECORDS};
use crate::story::{self, Entry, Line, story_lines};

/// How a timeline is wanted.
#[derive(Debug, Clone, Default)]
pub struct TimelineRequest {
    /// The range of time and the sources.
    pub scope: Scope,
    /// Every event on a line of its own.
    pub all: bool,
    /// Also events that have the name anywhere in their text.
    pub text: bool,
    /// At most so many lines, the latest.
    pub limit: Option<usize>,
}

/// What happened, in order.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// The entity.
    pub entity: EntityName,
    /// The lines, the earliest first.
    #[serde(serialize_with = "records")]
    pub lines: Vec<Line>,
    /// How many lines there are.
    pub total_lines: u64,
    /// How many events were read.
    pub events: u64,
    /// Whether there are more events: the earliest were not read.
    pub cut: bool,
    /// How many alerts there are.
    pub alerts: u64,
    /// The id of the gravest of them.
    pub gravest_alert: Option<String>,
    /// Entities that it was bound to, to ask about next.
    pub also: Vec<String>,
}

impl Timeline {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.alerts == 0
    }
}

/// A line for programs: ids and times whole, and every part by itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LineRecord {
    /// `events`, `alert` or `gap`.
    pub line: &'static str,
    /// When it begins.
    pub time: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// How many events or alerts it is.
    pub count: u64,
    /// The source of its events.
    pub source: Option<&'static str>,
    /// The id of the first.
    pub id: Option<String>,
    /// The id of the last event.
    pub last_id: Option<String>,
    /// The level of an alert.
    pub level: Option<&'static str>,
    /// Who acted.
    pub who: Option<String>,
    /// The address that it came from.
    pub from: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// The kind of object.
    pub kind: Option<String>,
    /// The objects, the first by name.
    pub objects: Option<String>,
    /// How it went, where that is not well.
    pub outcome: Option<String>,
    /// What else there is to say; of an alert, its rule's name.
    pub detail: Option<String>,
    /// Whether it is one of the many that say that all is as it was.
    pub routine: Option<bool>,
    /// Whether an alert of the story cites it.
    pub cited: Option<bool>,
}

impl LineRecord {
    /// The columns, in order.
    pub const COLUMNS: &[&str] = &[
        "line", "time", "until", "count", "source", "id", "last_id", "level", "who", "from", "action", "kind",
        "objects", "outcome", "detail", "routine", "cited",
    ];
}

impl From<&Line> for LineRecord {
    fn from(line: &Line) -> Self {
        match line {
            Line::Events(group) => {
                let entry = &group.first;
                Self {
                    line: "events",
                    time: entry.time,
                    until: group.last,
                    count: group.count,
                    source: Some(entry.source.name()),
                    id: Some(entry.id.to_string()),
                    last_id: Some(group.last_id.to_string()),
                    level: None,
                    who: Some(entry.who.clone()),
                    from: entry.from.clone(),
                    action: entry.action.clone(),
                    kind: entry.kind.clone(),
                    objects: Some(group.named_objects()),
                    outcome: entry.outcome.clone(),
                    detail: entry.detail.clone(),
                    routine: Some(entry.routine),
                    cited: Some(entry.cited),
                }
            }
            Line::Alert(raised) => Self {
                line: "alert",
                time: raised.first.alert.time,
                until: raised.last,
                count: raised.count,
                id: Some(raised.first.alert.id.to_string()),
                level: Some(raised.first.rule.level.name()),
                detail: Some(raised.first.rule.name.to_string()),
                ..Self::default()
            },
            Line::Gap(from, to) => Self {
                line: "gap",
                time: *from,
                until: *to,
                ..Self::default()
            },
        }
    }
}

fn records<S: Serializer>(lines: &[Line], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter().map(LineRecord::from))
}

/// What happened to and by an entity.
///
/// # Errors
/// A log or the table of alerts cannot be read.
pub async fn timeline(
    archive: &Archive<'_>,
    subject: &Subject,
    request: &TimelineRequest,
) -> Result<Answer<Timeline>, StoreError> {
    let entity = &subject.entity;
    let scope = around(subject, &request.scope);
    let mut query = subject.query.clone();
    if request.text {
        query.texts.extend(name_in_texts(entity));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut in_record = Vec::new();
    let mut clusters = Clusters::default();
    let mut add = |event: casebook_event::Event| {
        if Entry::is_in_record(&event) && in_record.len() < MAX_RECORDS {
            in_record.push((event.time, event.id));
        }
        entries.push(Entry::of(&event));
        clusters.count(&event);
    };
    let visit = archive.visit(&query, &scope, MAX_EVENTS, story::FIELDS, &mut add);
    let (read, coverage) = tokio::join!(visit, archive.coverage(&scope));
    let read = read?;
    let whole = archive.by_ids(in_record).await?;
    for entry in &mut entries {
        if let Some(event) = whole.get(&entry.id) {
            *entry = Entry::of(event);
        }
    }
    let ids: HashSet<EventId> = entries.iter().map(|entry| entry.id).collect();
    let alerts = alerts::about(archive, &scope, &ids, &query).await?;
    let cited = alerts::cited(&alerts);
    for entry in &mut entries {
        entry.cited = cited.contains(&entry.id);
    }
    let mut data = Timeline {
        entity: entity.clone(),
        lines: Vec::new(),
        total_lines: 0,
        events: read.events as u64,
        cut: read.cut,
        alerts: alerts.len() as u64,
        gravest_alert: alerts.first().map(|alert| alert.alert.id.to_string()),
        also: also(subject),
    };
    let mut lines = story_lines(entries, alerts, request.all);
    data.total_lines = lines.len() as u64;
    lines.drain(..lines.len().saturating_sub(request.limit.unwrap_or(usize::MAX)));
    data.lines = lines;
    let mut dropped = subject.dropped.clone();
    dropped.extend(read.cut.then_some(Dropped::Events {
        limit: MAX_EVENTS as u64,
    }));
    let statements = of_clusters(&clusters, entity).into_iter().collect();
    Ok(archive.answer(data, statements, coverage, dropped))
}

/// The range that is asked for; of an alert or event, where none is, the time around it.
fn around(subject: &Subject, scope: &Scope) -> Scope {
    let mut scope = scope.clone();
    if let Some((from, to)) = subject.around
        && scope.from.is_none()
        && scope.to.is_none()
    {
        scope.from = Some(from.saturating_add_nanos(-AROUND_NANOS));
        scope.to = Some(to.saturating_add_nanos(AROUND_NANOS));
    }
    scope
}

/// That a name stands for a thing in each of several clusters.
pub(crate) fn of_clusters(clusters: &Clusters, entity: &EntityName) -> Option<Statement> {
    Some(Statement {
        about: entity.to_string(),
        is: None,
        grade: Grade::Ambiguous {
            candidates: clusters.ambiguous(entity)?,
        },
        by: vec!["orchestrator.cluster.name".to_owned()],
    })
}

/// What an entity stood for, as entities to ask about next.
fn also(subject: &Subject) -> Vec<String> {
    use IdentifierKind::{NodeName, PodName, ServiceAccount};
    const MOST: usize = 4;
    let wanted = |id: &casebook_event::Identifier| match (subject.entity.kind, id.kind) {
        (Kind::Ip | Kind::Container | Kind::ServiceAccount, PodName) => Some(format!("pod:{}", id.qualified())),
        (Kind::Ip | Kind::Pod | Kind::Container, NodeName) => Some(format!("node:{}", id.qualified())),
        (Kind::Pod, ServiceAccount) => Some(format!("sa:{}", id.qualified())),
        _ => None,
    };
    let bindings = &subject.bindings;
    let mut names: Vec<String> = Vec::new();
    for binding in bindings.bindings_among(&bindings.names_of(&subject.entity)) {
        for id in [&binding.from, &binding.to] {
            if let Some(name) = wanted(id)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
    }
    names.truncate(MOST);
    names
}
