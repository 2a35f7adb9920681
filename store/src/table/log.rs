//! The files of one Delta log: entries `_delta_log/<version>.json`, each put only if absent, and the names of checkpoints.

use std::sync::Arc;

use bytes::Bytes;
use fail::fail_point;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::action::Action;
use crate::fault::injected_write_failure;
use crate::limits::MAX_LOG_ENTRY_BYTES;
use crate::{StoreError, TableName};

/// The log of one table.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub table: TableName,
    pub files: Arc<dyn ObjectStore>,
}

/// What the log's folder holds of one version.
pub(super) enum LogFile {
    Entry,
    Checkpoint { part: u32, parts: u32 },
}

impl Log {
    pub fn folder(&self) -> Path {
        Path::from(format!("{}/_delta_log", self.table.name()))
    }

    fn entry_path(&self, version: u64) -> Path {
        self.folder().join(format!("{version:020}.json"))
    }

    pub fn checkpoint_path(&self, version: u64) -> Path {
        self.folder().join(format!("{version:020}.checkpoint.parquet"))
    }

    pub fn hint_path(&self) -> Path {
        self.folder().join("_last_checkpoint")
    }

    fn failed(&self, action: &'static str, path: &Path) -> impl FnOnce(ObjectError) -> StoreError {
        let (table, path) = (self.table.name(), path.to_string());
        move |source| StoreError::File {
            table,
            action,
            path,
            source: Box::new(source),
        }
    }

    pub fn broken(&self, version: u64, reason: impl Into<String>) -> StoreError {
        StoreError::Log {
            table: self.table.name(),
            version,
            reason: reason.into(),
        }
    }

    /// Whether the table has a log at all.
    pub async fn exists(&self) -> Result<bool, StoreError> {
        let folder = self.folder();
        let mut entries = self.files.list(Some(&folder));
        Ok(entries
            .try_next()
            .await
            .map_err(self.failed("list", &folder))?
            .is_some())
    }

    /// Bytes of what is in the log's folder.
    pub async fn bytes(&self) -> Result<u64, StoreError> {
        let folder = self.folder();
        self.files
            .list(Some(&folder))
            .try_fold(0, |sum, meta| std::future::ready(Ok(sum + meta.size)))
            .await
            .map_err(self.failed("list", &folder))
    }

    /// Writes the entry of `version`; `false` if that version already exists.
    pub async fn put(&self, version: u64, entry: Bytes) -> Result<bool, StoreError> {
        let path = self.entry_path(version);
        fail_point!("store.log", |reason| Err(injected_write_failure(
            self.table.name(),
            path.as_ref(),
            reason
        )));
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self.files.put_opts(&path, entry.into(), options).await {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("write", &path)(error)),
        }
    }

    /// The actions of `version`; `None` if there is no such entry (yet, or any more).
    pub async fn entry(&self, version: u64) -> Result<Option<Vec<Action>>, StoreError> {
        let path = self.entry_path(version);
        let found = match self.files.get(&path).await {
            Ok(found) => found,
            Err(ObjectError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.failed("read", &path)(error)),
        };
        if found.meta.size > MAX_LOG_ENTRY_BYTES {
            return Err(self.broken(
                version,
                format!("{path} has {} bytes, more than {MAX_LOG_ENTRY_BYTES}", found.meta.size),
            ));
        }
        let bytes = found.bytes().await.map_err(self.failed("read", &path))?;
        let mut actions = Vec::new();
        for (line, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let action = serde_json::from_slice(text)
                .map_err(|error| self.broken(version, format!("{path}, line {}: {error}", line + 1)))?;
            actions.push(action);
        }
        Ok(Some(actions))
    }

    /// Entries and checkpoints from the hinted version on, in order of version.
    pub async fn list(&self, hint: Option<u64>) -> Result<Vec<(u64, LogFile, Path)>, StoreError> {
        let folder = self.folder();
        let listing = match hint {
            // Names sort by version, and every name of the hinted version is greater than its bare number.
            Some(version) => self
                .files
                .list_with_offset(Some(&folder), &folder.clone().join(format!("{version:020}"))),
            None => self.files.list(Some(&folder)),
        };
        let metas: Vec<ObjectMeta> = listing.try_collect().await.map_err(self.failed("list", &folder))?;
        let mut found: Vec<_> = metas
            .into_iter()
            .filter_map(|meta| {
                let (version, kind) = parse_name(meta.location.filename()?)?;
                Some((version, kind, meta.location))
            })
            .collect();
        found.sort_by(|a, b| (a.0, &a.2).cmp(&(b.0, &b.2)));
        Ok(found)
    }

    /// Deletes entries and checkpoints that no reader of the last `retention_ms` needs (the rule of Delta's log
    /// cleanup: everything before the last checkpoint that is itself older than the retention).
    pub async fn clean(&self, now_ms: i64, retention_ms: i64) -> Result<usize, StoreError> {
        let folder = self.folder();
        let metas: Vec<ObjectMeta> = self
            .files
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(self.failed("list", &folder))?;
        let cutoff = now_ms.saturating_sub(retention_ms);
        let parsed: Vec<_> = metas
            .iter()
            .filter_map(|meta| {
                let (version, kind) = parse_name(meta.location.filename()?)?;
                Some((
                    version,
                    kind,
                    meta.last_modified.timestamp_millis() < cutoff,
                    &meta.location,
                ))
            })
            .collect();
        let needed = parsed
            .iter()
            .filter(|(_, _, old, _)| !old)
            .map(|(version, ..)| *version)
            .min()
            .unwrap_or(u64::MAX);
        let keep_from = parsed
            .iter()
            .filter(|(version, kind, ..)| *version <= needed && matches!(kind, LogFile::Checkpoint { parts: 1, .. }))
            .map(|(version, ..)| *version)
            .max();
        let Some(keep_from) = keep_from else { return Ok(0) };
        let mut deleted = 0;
        for (version, _, old, path) in &parsed {
            if *old && *version < keep_from {
                match self.files.delete(path).await {
                    Ok(()) | Err(ObjectError::NotFound { .. }) => deleted += 1,
                    Err(error) => return Err(self.failed("delete", path)(error)),
                }
            }
        }
        Ok(deleted)
    }
}

/// `<version>.json`, `<version>.checkpoint.parquet`, `<version>.checkpoint.<part>.<parts>.parquet`.
fn parse_name(name: &str) -> Option<(u64, LogFile)> {
    let (version, rest) = name.split_at_checked(20)?;
    let version = version
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| version.parse().ok())??;
    let kind = match rest {
        ".json" => LogFile::Entry,
        ".checkpoint.parquet" => LogFile::Checkpoint { part: 1, parts: 1 },
        _ => {
            let (part, parts) = rest
                .strip_prefix(".checkpoint.")?
                .strip_suffix(".parquet")?
                .split_once('.')?;
            LogFile::Checkpoint {
                part: part.parse().ok()?,
                parts: parts.parse().ok()?,
            }
        }
    };
    Some((version, kind))
}
