//! A search that goes on: what comes into the table after it began.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::plan::Plan;
use super::search::{SearchAnswer, SearchRequest};
use crate::{Store, StoreError};

/// A search that goes on. Each look gives the events that were committed since the one before, the oldest first.
#[derive(Debug)]
pub struct Follow {
    request: SearchRequest,
    plan: Arc<Plan>,
    /// The files that were there at the last look.
    seen: BTreeSet<String>,
}

impl Follow {
    /// Begins behind what the table holds now. The limit of `request` is that of one look.
    ///
    /// # Errors
    /// The query is not understood, or the table cannot be read.
    pub async fn begin(store: &Store, request: SearchRequest) -> Result<Self, StoreError> {
        let request = SearchRequest {
            newest_first: false,
            ..request
        };
        let plan = Arc::new(Plan::new(&request)?);
        let seen = store.events.snapshot().await?.files.keys().cloned().collect();
        Ok(Self { request, plan, seen })
    }

    /// The events that have come since the last look.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn look(&mut self, store: &Store) -> Result<SearchAnswer, StoreError> {
        let snapshot = store.events.snapshot().await?;
        let new = snapshot
            .files
            .values()
            .filter(|file| !file.add.is_rewritten() && !self.seen.contains(&file.path) && self.plan.may_hold(file));
        let files: Vec<_> = new.cloned().collect();
        let answer = match files.is_empty() {
            true => return Ok(SearchAnswer::default()),
            false => {
                store
                    .search_files(&self.request, self.plan.clone(), files, Default::default())
                    .await?
            }
        };
        self.seen = snapshot.files.keys().cloned().collect();
        Ok(answer)
    }
}
