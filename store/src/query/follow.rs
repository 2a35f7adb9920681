//! A search that goes on: what comes into the table after it began.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::answer::{SearchAnswer, SearchRequest};
use super::plan::Plan;
use super::search::search_files;
use crate::StoreError;
use crate::tables::Tables;

/// A search that goes on. Each poll gives the events that were committed since the one before, the oldest first.
#[derive(Debug)]
pub struct Follow {
    tables: Arc<Tables>,
    request: SearchRequest,
    plan: Arc<Plan>,
    /// The files that were there at the last poll.
    seen: BTreeSet<String>,
}

impl Follow {
    /// Begins after what the table holds now. The limit of `request` is that of one poll.
    ///
    /// # Errors
    /// The query is not understood, or the table cannot be read.
    pub(crate) async fn begin(tables: Arc<Tables>, request: SearchRequest) -> Result<Self, StoreError> {
        let request = SearchRequest {
            newest_first: false,
            ..request
        };
        let plan = Arc::new(Plan::new(&request)?);
        let seen = tables.events.snapshot().await?.files.keys().cloned().collect();
        Ok(Self {
            tables,
            request,
            plan,
            seen,
        })
    }

    /// The events that have come since the last poll.
    ///
    /// # Errors
    /// As `Store::search`.
    pub async fn poll(&mut self) -> Result<SearchAnswer, StoreError> {
        let snapshot = self.tables.events.snapshot().await?;
        let new = snapshot
            .files
            .values()
            .filter(|file| !file.add.is_rewritten() && !self.seen.contains(&file.path) && self.plan.may_hold(file));
        let files: Vec<_> = new.cloned().collect();
        let answer = match files.is_empty() {
            true => return Ok(SearchAnswer::default()),
            false => {
                search_files(
                    &self.tables,
                    &self.request,
                    self.plan.clone(),
                    files,
                    Default::default(),
                )
                .await?
            }
        };
        self.seen = snapshot.files.keys().cloned().collect();
        Ok(answer)
    }
}
