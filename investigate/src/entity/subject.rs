//! An entity with all that is needed to ask about it.

use casebook_event::Timestamp;
use casebook_store::{SearchRequest, StoreError};

use super::bindings::ObservedBindings;
use super::name::{EntityName, Kind};
use super::{learn, query, subjects};
use crate::archive::{Archive, Scope};
use crate::coverage::Dropped;
use crate::limits::MAX_BINDING_EVENTS;
use crate::query::EventQuery;

/// What is asked of the store about an entity.
pub struct Subject {
    /// The entity.
    pub entity: EntityName,
    /// Which events concern it.
    pub query: EventQuery,
    /// What it is also called.
    pub bindings: ObservedBindings,
    /// When it was, where it is an alert or an event.
    pub around: Option<(Timestamp, Timestamp)>,
    /// Which of its names are left out.
    pub dropped: Vec<Dropped>,
}

/// What concerns an entity; `None` where it is an alert or an event that is not there.
///
/// # Errors
/// A log or the table of alerts cannot be read.
pub async fn subject(archive: &Archive<'_>, entity: EntityName, scope: &Scope) -> Result<Option<Subject>, StoreError> {
    let mut dropped = Vec::new();
    let (query, bindings, around) = match entity.kind {
        Kind::Alert => {
            let Some(alert) = archive.store().alert(&entity.value).await? else {
                return Ok(None);
            };
            let window = (alert.window.from, alert.window.to.max(alert.alert.time));
            (subjects::of_alert(&alert), ObservedBindings::default(), Some(window))
        }
        Kind::Event => {
            let request = SearchRequest {
                query: query::by_name(&entity).write().0,
                limit: 1,
                ..SearchRequest::default()
            };
            let Some(event) = archive.search(request).await?.rows.pop() else {
                return Ok(None);
            };
            let moment = (event.time, event.time);
            (subjects::of_event(&event), ObservedBindings::default(), Some(moment))
        }
        _ => {
            let (bindings, read) = learn::observe(archive, &entity, scope).await?;
            dropped.extend(read.cut.then_some(Dropped::Bindings {
                limit: MAX_BINDING_EVENTS as u64,
            }));
            (query::by_all_names(&entity, &bindings), bindings, None)
        }
    };
    dropped.extend(query.write().1.then_some(Dropped::Names));
    Ok(Some(Subject {
        entity,
        query,
        bindings,
        around,
        dropped,
    }))
}
