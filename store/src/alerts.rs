//! The alerts table: every revision of every alert, written with the signals offsets and the correlation state.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::Int32Type;
use casebook_event::{Alert, AlertStatus, Checkpoint, Level, Partition, Timestamp};
use futures::TryStreamExt;

use crate::commit::{Committed, fence, txns};
use crate::limits::MAX_AMBIGUOUS_IDS;
use crate::record_batch::{batch, micros};
use crate::scan::scan;
use crate::schema::TableSchema;
use crate::state::Reference;
use crate::table::{Add, DataFileWriter, Proposal, StatsBuilder, file_name};
use crate::write::{date_text, put_file};
use crate::{CommitError, Store, StoreError, TableName};

/// What one correlate worker has found, to be committed.
#[derive(Debug)]
pub struct AlertsCommit<'a> {
    /// The consumer group of the signals topic.
    pub group: &'a str,
    /// The alerts: new ones, and new revisions of earlier ones.
    pub alerts: &'a [Alert],
    /// The offsets of the signals topic that they came from.
    pub checkpoint: Checkpoint,
    /// The correlation state of partitions of the signals topic, as it is after these offsets.
    pub states: Vec<(Partition, Vec<u8>)>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// Which alerts to list. `AlertFilter::default()` lists every alert that holds, the newest first.
#[derive(Debug, Clone)]
pub struct AlertFilter {
    /// Alerts at or after this time.
    pub from: Option<Timestamp>,
    /// Alerts before this time.
    pub to: Option<Timestamp>,
    /// Alerts of this rule.
    pub rule_id: Option<String>,
    /// Alerts of at least this level.
    pub min_level: Option<Level>,
    /// Whether alerts that turned out not to hold are listed.
    pub include_withdrawn: bool,
    /// Most alerts to list.
    pub limit: usize,
}

impl Default for AlertFilter {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            rule_id: None,
            min_level: None,
            include_withdrawn: false,
            limit: usize::MAX,
        }
    }
}

impl AlertFilter {
    fn admits(&self, alert: &Alert) -> bool {
        self.from.is_none_or(|from| alert.alert.time >= from)
            && self.to.is_none_or(|to| alert.alert.time < to)
            && self.rule_id.as_ref().is_none_or(|rule| alert.rule.id == rule.as_str())
            && self.min_level.is_none_or(|level| alert.rule.level >= level)
            && (self.include_withdrawn || alert.alert.status != AlertStatus::Withdrawn)
    }
}

impl Store {
    /// Commits alerts, the signals offsets they came from and the correlation state after them, as one.
    ///
    /// The state of a partition is written as a file first, and the commit carries its path, length and SHA-256 in a
    /// `domainMetadata` action: that survives Delta checkpoints, and readers of the table need not know it.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where a partition does not stand where the checkpoint begins; else the store failed.
    pub async fn commit_alerts(&self, commit: AlertsCommit<'_>) -> Result<Committed, CommitError> {
        let AlertsCommit {
            group,
            alerts,
            checkpoint,
            states,
            now,
        } = commit;
        let before = self.alerts.snapshot().await?;
        fence(&before, group, &checkpoint)?;

        let mut references = Vec::new();
        for (partition, state) in states {
            references.push(self.write_state(group, &partition, state).await?);
        }
        let (adds, stored_bytes) = self.write_alerts(alerts, now).await?;
        let files = adds.len() as u64;
        let written: Vec<String> = adds
            .iter()
            .map(|add| add.path.clone())
            .chain(references.iter().map(|(_, reference)| reference.path.clone()))
            .collect();
        let domains = references
            .iter()
            .map(|(domain, reference)| reference.action(domain))
            .collect();
        let proposal = Proposal {
            adds,
            txns: txns(group, &checkpoint, now),
            domains,
            now,
        };
        let landed = self
            .alerts
            .commit(proposal, &|snapshot| fence(snapshot, group, &checkpoint))
            .await;
        if matches!(landed, Err(CommitError::Fenced { .. })) {
            self.discard(&self.alerts, &written).await;
        }
        let snapshot = landed?;
        let superseded: Vec<String> = references
            .iter()
            .filter_map(|(domain, _)| Reference::of(&before, domain))
            .filter(|old| references.iter().all(|(_, new)| new.path != old.path))
            .map(|old| old.path)
            .collect();
        self.discard(&self.alerts, &superseded).await;
        Ok(Committed {
            version: snapshot.version,
            files,
            rows: alerts.len() as u64,
            stored_bytes,
        })
    }

    async fn write_alerts(&self, alerts: &[Alert], now: Timestamp) -> Result<(Vec<Add>, u64), StoreError> {
        let mut dates: BTreeMap<i32, Vec<&Alert>> = BTreeMap::new();
        for alert in alerts {
            dates.entry(alert.alert.time.days()).or_default().push(alert);
        }
        let (mut adds, mut bytes) = (Vec::new(), 0);
        for mut alerts in dates.into_values() {
            alerts.sort_by_key(|alert| (alert.alert.time, alert.alert.id.clone(), alert.alert.revision));
            let Some(date) = alerts.first().map(|alert| date_text(alert.alert.time)) else {
                continue;
            };
            let mut stats = StatsBuilder::new("time");
            for alert in &alerts {
                stats.row(alert.alert.time);
                stats.text("id", &alert.alert.id);
                stats.text("rule_id", &alert.rule.id);
            }
            let mut writer = DataFileWriter::new(TableName::Alerts, &self.config, alerts.len())?;
            writer.write(&record_batch(&alerts, now)?)?;
            let path = file_name(TableSchema::of(TableName::Alerts).partition, &date);
            let encoded = writer.finish()?;
            let add = put_file(
                &self.location.files,
                TableName::Alerts,
                &path,
                &date,
                encoded,
                stats,
                now,
            )
            .await?;
            bytes += add.size.unsigned_abs();
            adds.push(add);
        }
        Ok((adds, bytes))
    }

    /// The next offset of every partition of the signals topic that `group` has committed alerts of.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn signal_offsets(&self, group: &str) -> Result<BTreeMap<Partition, i64>, StoreError> {
        Ok(crate::commit::offsets(&*self.alerts.snapshot().await?, group))
    }

    /// The latest revision of every alert that `filter` admits, the newest first; those of one time by id.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let mut alerts: Vec<Alert> = self
            .latest(|_| true, |_| true)
            .await?
            .into_values()
            .filter(|alert| filter.admits(alert))
            .collect();
        alerts.sort_by(|a, b| (b.alert.time, &a.alert.id).cmp(&(a.alert.time, &b.alert.id)));
        alerts.truncate(filter.limit);
        Ok(alerts)
    }

    /// The latest revision of the alert whose id begins with `prefix`, whatever its status.
    ///
    /// # Errors
    /// [`StoreError::Ambiguous`] where several alerts do; else the alerts table cannot be read.
    pub async fn alert(&self, prefix: &str) -> Result<Option<Alert>, StoreError> {
        let prefix = prefix.trim().to_ascii_lowercase();
        let mut found = self
            .latest(|file| file.stats.may_begin("id", &prefix), |id| id.starts_with(&prefix))
            .await?;
        if found.len() > 1 {
            return Err(StoreError::Ambiguous {
                prefix,
                count: found.len(),
                ids: found.into_keys().take(MAX_AMBIGUOUS_IDS).collect(),
            });
        }
        Ok(found.pop_first().map(|(_, alert)| alert))
    }

    /// The latest revisions by id, over the files and ids that are wanted. Files are never left out by time: a revision
    /// may have moved its alert to another one.
    async fn latest(
        &self,
        file_wanted: impl Fn(&crate::table::DataFile) -> bool,
        id_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Alert>, StoreError> {
        let snapshot = self.alerts.snapshot().await?;
        let mut latest: BTreeMap<String, (i32, String)> = BTreeMap::new();
        for file in snapshot.files.values().filter(|file| file_wanted(file)) {
            let mut batches = scan(self, TableName::Alerts, file, &["id", "revision", "alert"]).await?;
            while let Some(batch) = batches.try_next().await? {
                let text = |name: &str| {
                    batch
                        .column_by_name(name)
                        .and_then(|column| column.as_string_opt::<i32>())
                };
                let revisions = batch
                    .column_by_name("revision")
                    .and_then(|column| column.as_primitive_opt::<Int32Type>());
                let (Some(ids), Some(revisions), Some(alerts)) = (text("id"), revisions, text("alert")) else {
                    return Err(self.unreadable(&file.path, "a column is missing or of another type"));
                };
                for row in (0..batch.num_rows()).filter(|&row| id_wanted(ids.value(row))) {
                    let revision = revisions.value(row);
                    match latest.get(ids.value(row)) {
                        Some((known, _)) if *known >= revision => {}
                        _ => {
                            latest.insert(ids.value(row).to_owned(), (revision, alerts.value(row).to_owned()));
                        }
                    }
                }
            }
        }
        latest
            .into_iter()
            .map(|(id, (_, text))| {
                let alert = serde_json::from_str(&text).map_err(|error| {
                    self.unreadable("alert", format!("alert {id} is not in the known form: {error}"))
                })?;
                Ok((id, alert))
            })
            .collect()
    }

    fn unreadable(&self, path: &str, reason: impl Into<crate::error::BoxError>) -> StoreError {
        StoreError::File {
            table: "alerts",
            action: "read",
            path: path.to_owned(),
            source: reason.into(),
        }
    }
}

fn record_batch(alerts: &[&Alert], now: Timestamp) -> Result<RecordBatch, StoreError> {
    let times = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let texts = StringBuilder::new;
    let (mut ids, mut statuses, mut rule_ids, mut rule_names) = (texts(), texts(), texts(), texts());
    let (mut levels, mut kinds, mut groups, mut wholes) = (texts(), texts(), texts(), texts());
    let (mut time, mut from, mut to, mut committed) = (times(), times(), times(), times());
    let (mut revisions, mut evidence) = (Int32Builder::new(), Int64Builder::new());
    for alert in alerts {
        let whole = |value: serde_json::Result<String>| {
            value.map_err(|error| StoreError::Encode {
                table: "alerts",
                rows: alerts.len(),
                source: error.into(),
            })
        };
        ids.append_value(&alert.alert.id);
        revisions.append_value(i32::try_from(alert.alert.revision).unwrap_or(i32::MAX));
        statuses.append_value(match alert.alert.status {
            AlertStatus::Provisional => "provisional",
            AlertStatus::Final => "final",
            AlertStatus::Withdrawn => "withdrawn",
        });
        time.append_value(micros(alert.alert.time));
        rule_ids.append_value(&alert.rule.id);
        rule_names.append_value(&alert.rule.name);
        levels.append_value(alert.rule.level.name());
        kinds.append_value(&alert.rule.kind);
        groups.append_value(whole(serde_json::to_string(&alert.group))?);
        from.append_value(micros(alert.window.from));
        to.append_value(micros(alert.window.to));
        evidence.append_value(i64::try_from(alert.evidence_total).unwrap_or(i64::MAX));
        wholes.append_value(whole(serde_json::to_string(alert))?);
        committed.append_value(micros(now));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(revisions.finish()),
        Arc::new(statuses.finish()),
        Arc::new(time.finish()),
        Arc::new(rule_ids.finish()),
        Arc::new(rule_names.finish()),
        Arc::new(levels.finish()),
        Arc::new(kinds.finish()),
        Arc::new(groups.finish()),
        Arc::new(from.finish()),
        Arc::new(to.finish()),
        Arc::new(evidence.finish()),
        Arc::new(wholes.finish()),
        Arc::new(committed.finish()),
    ];
    batch(TableName::Alerts, alerts.len(), columns)
}
