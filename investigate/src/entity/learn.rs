//! What an entity is also called, by what the store has about it.

use casebook_event::Event;
use casebook_store::StoreError;

use super::bindings::ObservedBindings;
use super::name::{EntityName, Kind};
use super::query::that_may_bind;
use super::sampling::{self, BindingSample};
use crate::archive::{Archive, ReadCount, Scope};
use crate::limits::{BINDINGS_BEFORE_NANOS, MAX_BINDING_EVENTS};
use crate::query::{ADDRESSES, Clause, EventQuery, Test};

/// Observes what an entity is also called in what the store has about it, and then who else had its addresses.
pub async fn observe(
    archive: &Archive<'_>,
    entity: &EntityName,
    scope: &Scope,
) -> Result<(ObservedBindings, ReadCount), StoreError> {
    let mut bindings = ObservedBindings::default();
    let has_names = matches!(
        entity.kind,
        Kind::Pod | Kind::Container | Kind::Node | Kind::ServiceAccount | Kind::Ip | Kind::User
    );
    if !has_names || entity.value.contains('/') && entity.kind == Kind::Ip {
        return Ok((bindings, ReadCount::default()));
    }
    // What held when the range began was reported before it, by any source.
    let scope = Scope {
        from: scope.from.map(|from| from.saturating_add_nanos(-BINDINGS_BEFORE_NANOS)),
        to: scope.to,
        sources: Vec::new(),
    };
    let mut sample = BindingSample::default();
    let mut read = observe_matching(archive, &that_may_bind(entity), &scope, &mut sample, &mut bindings).await?;
    // Who had its addresses before and after is said by events about others.
    let addresses: Vec<String> = bindings
        .addresses_of(&bindings.names_of(entity))
        .into_iter()
        .map(|span| span.id.value.to_string())
        .collect();
    let mut about = EventQuery::default();
    for address in addresses {
        about.push(Clause::any(ADDRESSES, Test::Is(address.clone())));
        if !about.texts.contains(&address) {
            about.texts.push(address);
        }
    }
    let more = observe_matching(archive, &about, &scope, &mut sample, &mut bindings).await?;
    read.events += more.events;
    read.cut |= more.cut;
    Ok((bindings, read))
}

/// Samples the events that match, and observes the bindings of those that are read whole.
async fn observe_matching(
    archive: &Archive<'_>,
    query: &EventQuery,
    scope: &Scope,
    sample: &mut BindingSample,
    bindings: &mut ObservedBindings,
) -> Result<ReadCount, StoreError> {
    let mut add = |event: Event| sample.add(&event);
    let mut read = archive
        .visit(query, scope, MAX_BINDING_EVENTS, sampling::FIELDS, &mut add)
        .await?;
    let (wanted, cut) = sample.take();
    read.cut |= cut;
    let mut whole = archive
        .by_ids(wanted.iter().map(|one| (one.time, one.id)).collect())
        .await?;
    for one in wanted {
        if let Some(event) = whole.remove(&one.id) {
            bindings.observe(&archive.revive(event), one.times);
        }
    }
    Ok(read)
}
