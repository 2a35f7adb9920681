//! Alerts as they are now: the latest revisions, listed, by id or by the beginning of an id.

use std::collections::BTreeMap;
use std::sync::Arc;

use casebook_event::{Alert, Timestamp};

use super::filter::AlertFilter;
use super::latest::{Latest, latest, read_alerts};
use crate::data_file::may_have_text;
use crate::kept::alert_text;
use crate::limits::{MAX_ALERT_SPAN_DAYS, MAX_AMBIGUOUS_IDS};
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// The latest revision of every alert that `filter` admits, the newest first; those of one time by id.
///
/// # Errors
/// The alerts table cannot be read.
pub(crate) async fn alerts(tables: &Tables, filter: AlertFilter) -> Result<Vec<Alert>, StoreError> {
    let snapshot = tables.alerts.snapshot().await?;
    let files: Vec<Arc<DataFile>> = snapshot.files.values().cloned().collect();
    let latest = latest(tables, &files, |_| true).await?;
    let mut wanted: Vec<Latest> = latest.into_values().filter(|latest| latest.may_pass(&filter)).collect();
    wanted.sort_by_key(|latest| std::cmp::Reverse(latest.micros));
    if let Some(last) = filter.limit.checked_sub(1).and_then(|last| wanted.get(last)) {
        // Those of the same microsecond are ordered by their exact time, which is in the alert.
        let last = last.micros;
        wanted.retain(|latest| latest.micros >= last);
    }
    let mut alerts = read_alerts(tables, &files, wanted).await?;
    alerts.retain(|alert| filter.admits(alert));
    alerts.sort_by(|a, b| (b.alert.time, &a.alert.id).cmp(&(a.alert.time, &b.alert.id)));
    alerts.truncate(filter.limit);
    Ok(alerts)
}

/// The latest revision of the alert whose id begins with `prefix`, whatever its status.
///
/// # Errors
/// [`StoreError::Ambiguous`] where several alerts do; else the alerts table cannot be read.
pub(crate) async fn alert(tables: &Tables, prefix: &str) -> Result<Option<Alert>, StoreError> {
    let prefix = prefix.trim().to_ascii_lowercase();
    let snapshot = tables.alerts.snapshot().await?;
    let may_begin = |file: &&Arc<DataFile>| file.stats.may_begin("id", &prefix);
    let files: Vec<Arc<DataFile>> = snapshot.files.values().filter(may_begin).cloned().collect();
    let found = latest(tables, &files, |id| id.starts_with(&prefix)).await?;
    if found.len() > 1 {
        return Err(StoreError::Ambiguous {
            prefix,
            count: found.len(),
            ids: found.into_keys().take(MAX_AMBIGUOUS_IDS).collect(),
        });
    }
    Ok(read_alerts(tables, &files, found.into_values().collect()).await?.pop())
}

/// The latest revisions of some alerts, each with a time that one of its revisions has or was about; those that are found, in
/// the order of their ids.
///
/// Files are left out by their dates: all revisions of an alert have the first event in common, which is in its id, and the
/// time of a revision is less than a `timespan` after that. No rule has a longer one than [`MAX_ALERT_SPAN_DAYS`]. Of the
/// others, the footers are read and remembered: they lead to a bloom filter of the ids.
///
/// # Errors
/// The alerts table cannot be read.
pub(crate) async fn alerts_by_id(tables: &Tables, wanted: &[(u128, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
    let ids: BTreeMap<String, Timestamp> = wanted.iter().map(|(id, about)| (alert_text(*id), *about)).collect();
    let reach = i64::from(MAX_ALERT_SPAN_DAYS) * NANOS_PER_DAY;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let snapshot = tables.alerts.snapshot().await?;
    let mut files: Vec<Arc<DataFile>> = Vec::new();
    for file in snapshot.files.values() {
        let may_have = |id: &str, about: &Timestamp| {
            let (from, to) = (about.saturating_add_nanos(-reach), about.saturating_add_nanos(reach));
            file.stats.may_hold("id", id) && file.stats.may_hold_time(Some(from), Some(to))
        };
        let asked = ids.iter().filter(|(id, about)| may_have(id, about));
        let asked: Vec<&str> = asked.map(|(id, _)| id.as_str()).collect();
        if !asked.is_empty()
            && may_have_text(tables.files(), &tables.footers, TableName::Alerts, file, "id", &asked).await?
        {
            files.push(file.clone());
        }
    }
    let found = latest(tables, &files, |id| ids.contains_key(id)).await?;
    let mut alerts = read_alerts(tables, &files, found.into_values().collect()).await?;
    alerts.sort_by(|a, b| a.alert.id.cmp(&b.alert.id));
    Ok(alerts)
}
