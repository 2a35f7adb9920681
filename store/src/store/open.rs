//! A store: its tables at one place, opened.

use std::sync::Arc;

use crate::config::StoreConfig;
use crate::data_file::FooterCache;
use crate::index::ChunkCache;
use crate::location::Location;
use crate::table::Table;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// A store of events, alerts, dead letters, and what correlation keeps. Cheap to clone: clones share one view of the tables.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) tables: Arc<Tables>,
}

impl Store {
    /// Opens the store at `location` (a directory, or a `file://`, `s3://`, `gs://` or `az://` URL), and creates what is
    /// missing of it.
    ///
    /// # Errors
    /// The place cannot hold a store, or a table there is not one that this version understands.
    pub async fn open(location: &str, config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_tables(location, config, true).await
    }

    /// Opens the store at `location`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] where there is none; else as [`Store::open`].
    pub async fn open_existing(location: &str, config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_tables(location, config, false).await
    }

    /// Whether a store at `location` could be written, without creating one.
    ///
    /// # Errors
    /// What stands against it.
    pub async fn check(location: &str) -> Result<(), StoreError> {
        match Location::open(location, false) {
            Ok(place) => place.check_writing().await,
            // It may be created: what is above it shows when it is.
            Err(StoreError::NoStore { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn open_tables(text: &str, config: StoreConfig, create: bool) -> Result<Self, StoreError> {
        let location = {
            let text = text.to_owned();
            tokio::task::spawn_blocking(move || Location::open(&text, create))
                .await
                .map_err(|_| StoreError::Cancelled)??
        };
        if create {
            location.check_writing().await?;
        }
        let open = async |name: TableName| -> Result<Table, StoreError> {
            let table = Table::open(location.files.clone(), name, &config, create).await?;
            table.ok_or_else(|| StoreError::NoStore {
                location: text.to_owned(),
            })
        };
        let kept = async |name: TableName| -> Result<Table, StoreError> {
            match create {
                true => open(name).await,
                // A store of an older version has no such table yet.
                false => Ok(Table::unread(location.files.clone(), name, &config)),
            }
        };
        let (events, alerts) = (open(TableName::Events).await?, open(TableName::Alerts).await?);
        let dead_letters = open(TableName::DeadLetters).await?;
        let (signals, bindings) = (kept(TableName::Signals).await?, kept(TableName::Bindings).await?);
        // What is local is read where it is.
        let cache = config.index_cache.clone().filter(|_| location.directory.is_none());
        Ok(Self {
            tables: Arc::new(Tables {
                location,
                config,
                index_cache: cache.map(ChunkCache::new).map(Arc::new),
                footers: FooterCache::default(),
                events,
                alerts,
                dead_letters,
                signals,
                bindings,
            }),
        })
    }

    /// The place of the store, as it was given.
    pub fn location(&self) -> &str {
        &self.tables.location.text
    }

    /// The latest version of a table.
    ///
    /// # Errors
    /// The table's log cannot be read.
    pub async fn table_version(&self, name: TableName) -> Result<u64, StoreError> {
        Ok(self.tables.table(name).snapshot().await?.version)
    }

    /// What a table holds, by its log.
    ///
    /// # Errors
    /// The table's log cannot be read.
    pub async fn table_status(&self, name: TableName) -> Result<TableStatus, StoreError> {
        let snapshot = self.tables.table(name).snapshot().await?;
        Ok(TableStatus {
            version: snapshot.version,
            files: snapshot.files.len() as u64,
            rows: snapshot.files.values().filter_map(|file| file.stats.rows).sum(),
            bytes: snapshot.files.values().map(|file| file.add.size.unsigned_abs()).sum(),
        })
    }

    /// Writes a Delta checkpoint of a table now; commits do so by themselves every
    /// [`StoreConfig::checkpoint_interval_commits`].
    ///
    /// # Errors
    /// The table cannot be read or the checkpoint not be written.
    pub async fn checkpoint(&self, name: TableName) -> Result<(), StoreError> {
        self.tables.table(name).checkpoint().await
    }
}

/// What a table holds, by its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStatus {
    /// The latest version.
    pub version: u64,
    /// Data files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the data files, without indexes.
    pub bytes: u64,
}
