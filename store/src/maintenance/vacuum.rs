//! Vacuum: what no log entry names goes from the disk, once nobody can need it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use casebook_event::Timestamp;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectMeta, ObjectStoreExt};

use super::problem::Problem;
use crate::alerts::{Reference, STATE_FOLDER};
use crate::hold::is_hold;
use crate::index::{self, bundle_name};
use crate::schema::TableSchema;
use crate::table::{Snapshot, TOMBSTONE_RETENTION_MS};
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// Files that are deleted at the same time.
const DELETES_AT_ONCE: usize = 16;

/// What a vacuum may delete.
#[derive(Debug, Clone, Copy)]
pub struct VacuumRequest {
    /// How long ago a file must have been removed from the table, or written where no entry ever named it. A reader of an
    /// older version and a writer whose files wait for their commit must be done within that time. At most a week, which
    /// is how long a table remembers what was removed.
    pub older_than: Duration,
    /// Whether to say only what would be deleted.
    pub dry_run: bool,
    /// The time now.
    pub now: Timestamp,
}

/// What a vacuum deleted, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Data files, indexes and parts of a correlation state that were deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that no entry names, and that are too young.
    pub kept_files: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Files that could not be deleted.
    pub problems: Vec<Problem>,
}

impl Vacuumed {
    /// Adds what was done to another table.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.kept_files += other.kept_files;
        self.kept_bytes += other.kept_bytes;
        self.problems.extend(other.problems);
    }
}

/// Deletes files of a table that no entry of its log names: those that were removed, and those that never were in it.
///
/// Only files with the names that this store gives are deleted, and none of the log.
///
/// # Errors
/// [`StoreError::Refused`] where the age is more than a table remembers; else the table cannot be read or listed.
pub(crate) async fn vacuum(tables: &Tables, table: TableName, request: VacuumRequest) -> Result<Vacuumed, StoreError> {
    let age_ms = i64::try_from(request.older_than.as_millis()).unwrap_or(i64::MAX);
    if age_ms > TOMBSTONE_RETENTION_MS {
        return Err(StoreError::Refused {
            table: table.name(),
            reason: "it remembers for seven days what was removed from it: nothing can be kept for longer".into(),
        });
    }
    let cutoff_ms = (request.now.as_nanos().div_euclid(1_000_000)).saturating_sub(age_ms);
    // Listed first: what a commit names between the two is then named.
    let listed = list_own(tables, table).await?;
    let snapshot = tables.table(table).snapshot().await?;
    let named = Named::of(table, &snapshot);
    let mut out = Vacuumed::default();
    let mut doomed: Vec<ObjectMeta> = Vec::new();
    for (name, meta) in listed {
        if named.current.contains(name.as_str()) || named.keeps_folder_of(&name) {
            continue;
        }
        let since_ms = match named.removed.get(name.as_str()) {
            Some(Some(removed_ms)) => *removed_ms,
            // Removed by a writer that does not say when.
            Some(None) => i64::MAX,
            None => meta.last_modified.timestamp_millis(),
        };
        if since_ms < cutoff_ms {
            doomed.push(meta);
        } else {
            out.kept_files += 1;
            out.kept_bytes += meta.size;
        }
    }
    if request.dry_run {
        out.files = doomed.len() as u64;
        out.bytes = doomed.iter().map(|meta| meta.size).sum();
        return Ok(out);
    }
    let files = tables.files();
    let mut deletes = futures::stream::iter(doomed)
        .map(async |meta: ObjectMeta| (files.delete(&meta.location).await, meta))
        .buffer_unordered(DELETES_AT_ONCE);
    while let Some((deleted, meta)) = deletes.next().await {
        match deleted {
            Ok(()) => {
                out.files += 1;
                out.bytes += meta.size;
            }
            // Another vacuum was first.
            Err(ObjectError::NotFound { .. }) => {}
            Err(error) => out.problems.push(Problem {
                table,
                path: meta.location.to_string(),
                problem: format!("cannot be deleted: {error}"),
                remedy: "see who owns it; the next vacuum tries again",
            }),
        }
    }
    Ok(out)
}

/// The files of a table that have a name of this store's giving, relative to the table.
async fn list_own(tables: &Tables, table: TableName) -> Result<Vec<(String, ObjectMeta)>, StoreError> {
    let folder = Path::from(table.name());
    let partition = format!("{}=", TableSchema::of(table).partition);
    let listing = tables.files().list(Some(&folder));
    let all: Result<Vec<ObjectMeta>, _> = listing.try_collect().await;
    let all = all.map_err(|error| StoreError::File {
        table: table.name(),
        action: "list",
        path: folder.to_string(),
        source: Box::new(error),
    })?;
    let prefix = format!("{folder}/");
    let own = all.into_iter().filter_map(|meta| {
        let name = meta.location.as_ref().strip_prefix(&prefix)?.to_owned();
        let (folder, file) = name.split_once('/')?;
        let is_own = match folder {
            index::FOLDER => file.starts_with("part-") && file.ends_with(".idx"),
            STATE_FOLDER => file.ends_with(".state"),
            date => date.starts_with(&partition) && file.starts_with("part-") && file.ends_with(".parquet"),
        };
        is_own.then_some((name, meta))
    });
    Ok(own.collect())
}

/// What the log names.
struct Named {
    current: BTreeSet<String>,
    /// With the time of the removal, in milliseconds.
    removed: BTreeMap<String, Option<i64>>,
    /// Whether a state is named in a way that is not understood: then no state is an orphan.
    states_unknown: bool,
}

impl Named {
    fn of(table: TableName, snapshot: &Snapshot) -> Self {
        let mut named = Self {
            current: snapshot.files.keys().cloned().collect(),
            removed: BTreeMap::new(),
            states_unknown: false,
        };
        for (path, remove) in snapshot.tombstones.iter() {
            named.removed.insert(path.clone(), remove.deletion_timestamp);
        }
        if table == TableName::Events {
            named
                .current
                .extend(snapshot.files.keys().map(|path| bundle_name(path)));
            let bundles = named.removed.iter().map(|(path, time)| (bundle_name(path), *time));
            let bundles: Vec<_> = bundles.collect();
            named.removed.extend(bundles);
        }
        for domain in snapshot.domains.keys().filter(|domain| !is_hold(domain)) {
            match Reference::of(snapshot, domain) {
                Some(reference) => named.current.extend(reference.paths().cloned()),
                None => named.states_unknown = true,
            }
        }
        named
    }

    fn keeps_folder_of(&self, name: &str) -> bool {
        self.states_unknown && name.starts_with(STATE_FOLDER)
    }
}
