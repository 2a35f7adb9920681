//! The opened tables of a store, with what all rooms need to read and write their files: the place, the configuration and
//! the caches. It only holds them; the rooms above say what is done with them.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::TableName;
use crate::config::StoreConfig;
use crate::data_file::FooterCache;
use crate::index::ChunkCache;
use crate::location::Location;
use crate::table::Table;

/// The tables of one store, and what they share.
#[derive(Debug)]
pub(crate) struct Tables {
    pub location: Location,
    pub config: StoreConfig,
    /// Parts of index bundles that were fetched from an object store; `None` where there is no room for any.
    pub index_cache: Option<Arc<ChunkCache>>,
    /// Footers of the files that are read again and again.
    pub footers: FooterCache,
    pub events: Table,
    pub alerts: Table,
    pub dead_letters: Table,
    pub signals: Table,
    pub bindings: Table,
}

impl Tables {
    /// One table.
    pub fn table(&self, name: TableName) -> &Table {
        match name {
            TableName::Events => &self.events,
            TableName::Alerts => &self.alerts,
            TableName::DeadLetters => &self.dead_letters,
            TableName::Signals => &self.signals,
            TableName::Bindings => &self.bindings,
        }
    }

    /// The files of the store.
    pub fn files(&self) -> &Arc<dyn ObjectStore> {
        &self.location.files
    }

    /// Deletes files of this process that no commit names. One that cannot be deleted is an orphan, and harmless.
    pub async fn discard(&self, table: TableName, paths: &[String]) {
        for path in paths {
            let path = Path::from(format!("{}/{path}", table.name()));
            if let Err(error) = self.files().delete(&path).await {
                tracing::debug!(%path, %error, "cannot delete an uncommitted file");
            }
        }
    }
}
