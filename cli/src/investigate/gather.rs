//! Reading what concerns an entity from the store, page by page.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use casebook_event::{Event, EventId, FieldId, Source, Timestamp};
use casebook_store::{SearchRequest, Store};

use super::entity_name::{EntityName, Kind};
use super::entity_query::{self, Clause, EntityQuery, Test};
use super::learned::Learned;
use super::telling::{self, Telling};
use super::{LEARN_BEFORE_NANOS, MAX_LEARNED_EVENTS, PAGE_EVENTS};
use crate::unreadable;

/// The range of time and the sources that are asked for.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Events at or after this time.
    pub from: Option<Timestamp>,
    /// Events before this time.
    pub to: Option<Timestamp>,
    /// Events of these sources; of all where none is named.
    pub sources: Vec<Source>,
}

/// How much was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Read {
    /// Events, each once.
    pub events: usize,
    /// Whether there were more than might be read: the earliest were not.
    pub cut: bool,
}

/// How many events match.
pub async fn count(store: &Store, query: &EntityQuery, scope: &Scope) -> Result<u64> {
    let (query, _) = query.write();
    if query.is_empty() {
        return Ok(0);
    }
    let answer = store.search(request(query, scope, 0)).await?;
    unreadable::tell(&answer.unreadable);
    Ok(answer.matched)
}

/// Ids that one query asks for: it may not be longer than 8 KiB.
const IDS_OF_A_QUERY: usize = 150;

/// Reads events whole, by id and time. What came twice may be there twice, and is told once.
pub async fn by_ids(store: &Store, mut wanted: Vec<(Timestamp, EventId)>) -> Result<BTreeMap<EventId, Event>> {
    // Those of about the same time are in the same files.
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    for some in wanted.chunks(IDS_OF_A_QUERY) {
        let ids: Vec<String> = some.iter().map(|(_, id)| id.to_string()).collect();
        let request = SearchRequest {
            query: format!("event_id:({})", ids.join(" OR ")),
            from: some.first().map(|(time, _)| *time),
            to: some.last().map(|(time, _)| time.saturating_add_nanos(1)),
            limit: casebook_store::limits::MAX_ANSWER_ROWS.min(some.len() * 100),
            newest_first: false,
            ..SearchRequest::default()
        };
        let rows = unreadable::search(store, request).await?;
        found.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    Ok(found)
}

fn request(query: String, scope: &Scope, limit: usize) -> SearchRequest {
    SearchRequest {
        query,
        from: scope.from,
        to: scope.to,
        sources: scope.sources.clone(),
        limit,
        newest_first: true,
        fields: None,
    }
}

/// Calls `visit` with the events that match, each once, the newest first, at most `most` of them, with these fields and
/// without their records.
pub async fn visit(
    store: &Store,
    query: &EntityQuery,
    scope: &Scope,
    most: usize,
    fields: &'static [FieldId],
    visit: &mut (dyn FnMut(Event) + Send),
) -> Result<Read> {
    let (query, _) = query.write();
    let mut read = Read::default();
    if query.is_empty() {
        return Ok(read);
    }
    let mut scope = scope.clone();
    let mut seen: HashSet<EventId> = HashSet::new();
    // One more than is wanted says that there are more.
    let mut page = PAGE_EVENTS.min(most.saturating_add(1));
    loop {
        let request = SearchRequest {
            fields: Some(fields),
            ..request(query.clone(), &scope, page)
        };
        let rows = unreadable::search(store, request).await?;
        let full = rows.len() >= page;
        let oldest = rows.last().map(|row| row.time);
        let before = read.events;
        for row in rows {
            if !seen.insert(row.id) {
                continue;
            }
            if read.events >= most {
                read.cut = true;
                return Ok(read);
            }
            read.events += 1;
            visit(row);
        }
        let Some(oldest) = oldest.filter(|_| full) else {
            return Ok(read);
        };
        // The next page begins at the oldest time of this one, which may hold more. Where all of a page were of one time
        // and known, only a larger page comes further.
        if read.events == before {
            page = page.saturating_mul(2);
        }
        scope.to = Some(oldest.saturating_add_nanos(1));
    }
}

/// Learns what an entity is also called from what the store has about it, and then of the addresses that it had.
pub async fn learn(store: &Store, entity: &EntityName, scope: &Scope) -> Result<(Learned, Read)> {
    let mut learned = Learned::default();
    let has_names = matches!(
        entity.kind,
        Kind::Pod | Kind::Container | Kind::Node | Kind::ServiceAccount | Kind::Ip | Kind::User
    );
    if !has_names || entity.value.contains('/') && entity.kind == Kind::Ip {
        return Ok((learned, Read::default()));
    }
    // What held when the range began was told before it, by any source.
    let scope = Scope {
        from: scope.from.map(|from| from.saturating_add_nanos(-LEARN_BEFORE_NANOS)),
        to: scope.to,
        sources: Vec::new(),
    };
    let query = entity_query::that_tells_of(entity);
    let mut telling = Telling::default();
    let mut read = look(store, &query, &scope, &mut telling, &mut learned).await?;
    // Who had its addresses before and after is told by events about others.
    let addresses: Vec<String> = learned
        .addresses_of(&learned.names_of(entity))
        .into_iter()
        .map(|span| span.id.value.to_string())
        .collect();
    let mut about = EntityQuery::default();
    for address in addresses {
        about.push(Clause::any(entity_query::ADDRESSES, Test::Is(address.clone())));
        if !about.texts.contains(&address) {
            about.texts.push(address);
        }
    }
    let more = look(store, &about, &scope, &mut telling, &mut learned).await?;
    read.events += more.events;
    read.cut |= more.cut;
    Ok((learned, read))
}

/// Looks at the events that match, and learns from those that tell something.
async fn look(
    store: &Store,
    query: &EntityQuery,
    scope: &Scope,
    telling: &mut Telling,
    learned: &mut Learned,
) -> Result<Read> {
    let mut add = |event: Event| telling.add(&event);
    let mut read = visit(store, query, scope, MAX_LEARNED_EVENTS, telling::FIELDS, &mut add).await?;
    let (wanted, cut) = telling.take();
    read.cut |= cut;
    let mut whole = by_ids(store, wanted.iter().map(|one| (one.time, one.id)).collect()).await?;
    for one in wanted {
        if let Some(event) = whole.remove(&one.id) {
            learned.learn(&casebook_pipeline::revive(event).event, one.times);
        }
    }
    Ok(read)
}

/// What was meant by a name without a kind.
#[derive(Debug)]
pub struct Meant {
    /// What it is taken for.
    pub entity: EntityName,
    /// What else it may be, and how many events or alerts say so.
    pub others: Vec<(EntityName, u64)>,
    /// How many events or alerts name it.
    pub count: u64,
}

/// Asks the store what a name is seen as. Of the guesses the one with most events is taken; where there is none, the first.
pub async fn ask(store: &Store, guesses: Vec<EntityName>, scope: &Scope) -> Result<Option<Meant>> {
    let mut counted: Vec<(EntityName, u64)> = Vec::new();
    for entity in guesses {
        let count = match entity.kind {
            Kind::Alert => match store.alert(&entity.value).await {
                Ok(found) => u64::from(found.is_some()),
                Err(casebook_store::StoreError::Ambiguous { count, .. }) => count as u64,
                Err(error) => return Err(error.into()),
            },
            _ => count(store, &entity_query::by_name(&entity), scope).await?,
        };
        counted.push((entity, count));
    }
    // The first of those with the most: a stable sort keeps the likelier guess before.
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut counted = counted.into_iter();
    let Some((entity, count)) = counted.next() else {
        return Ok(None);
    };
    let others = counted.filter(|(_, count)| *count > 0).collect();
    Ok(Some(Meant { entity, others, count }))
}
