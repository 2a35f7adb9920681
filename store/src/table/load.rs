//! A table at its latest version, read from its log: the newest checkpoint, and the entries after it.

use object_store::path::Path;

use super::checkpoint;
use super::log::{Log, LogFile};
use super::snapshot::Snapshot;
use crate::StoreError;

/// The table at its latest version: the newest checkpoint and the entries after it.
///
/// # Errors
/// There is no log, it has a gap, or it asks for something unsupported.
pub(super) async fn load(log: &Log) -> Result<Snapshot, StoreError> {
    let hint = checkpoint::read_hint(log).await?;
    let found = log.list(hint).await?;
    let mut snapshot = Snapshot::default();
    let start = match newest_checkpoint(&found) {
        Some((version, parts)) => {
            for part in parts {
                let actions = checkpoint::read(log, &part).await?;
                snapshot
                    .apply(version, actions)
                    .map_err(|reason| log.broken(version, reason))?;
            }
            version + 1
        }
        None => match found.iter().find(|(_, kind, _)| matches!(kind, LogFile::Entry)) {
            Some((0, _, _)) => 0,
            Some((version, _, _)) => {
                return Err(log.broken(
                    *version,
                    "the log begins here, without a checkpoint: earlier entries are lost",
                ));
            }
            None => return Err(log.broken(0, "the log is empty")),
        },
    };
    follow(log, &mut snapshot, start).await?;
    if let Some((last, _, _)) = found.last()
        && *last > snapshot.version
    {
        return Err(log.broken(
            snapshot.version + 1,
            format!("this entry is missing, while version {last} exists"),
        ));
    }
    Ok(snapshot)
}

/// Applies every entry from `next` on.
pub(super) async fn follow(log: &Log, snapshot: &mut Snapshot, mut next: u64) -> Result<(), StoreError> {
    while let Some(actions) = log.entry(next).await? {
        snapshot
            .apply(next, actions)
            .map_err(|reason| log.broken(next, reason))?;
        next += 1;
    }
    Ok(())
}

/// The newest checkpoint of which every part is there.
fn newest_checkpoint(found: &[(u64, LogFile, Path)]) -> Option<(u64, Vec<Path>)> {
    let mut versions: Vec<u64> = found.iter().map(|(version, ..)| *version).collect();
    versions.dedup();
    versions.into_iter().rev().find_map(|version| {
        let of_version = || found.iter().filter(move |(v, ..)| *v == version);
        of_version().find_map(|(_, kind, _)| {
            let LogFile::Checkpoint { parts, .. } = kind else {
                return None;
            };
            let paths: Vec<Path> = of_version()
                .filter(
                    |(_, kind, _)| matches!(kind, LogFile::Checkpoint { parts: p, part } if p == parts && part <= p),
                )
                .map(|(_, _, path)| path.clone())
                .collect();
            (paths.len() == *parts as usize).then_some((version, paths))
        })
    })
}
