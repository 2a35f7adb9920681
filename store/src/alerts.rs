//! The alerts table: every revision of every alert, written with the signals offsets and the correlation state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, AsArray, Int32Array, Int32Builder, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use casebook_event::{Alert, AlertStatus, CheckpointDelta, Level, Partition, StartOffset, Timestamp};
use fail::fail_point;
use futures::TryStreamExt;

use crate::commit::{Committed, fence, resume_txns, txns};
use crate::kept::{alert_text, may_have_text};
use crate::limits::{MAX_ALERT_SPAN_DAYS, MAX_AMBIGUOUS_IDS};
use crate::record_batch::{batch, micros};
use crate::scan::{scan, scan_rows, select};
use crate::schema::TableSchema;
use crate::state::{Reference, StatePart, domain};
use crate::table::{Add, DataFile, DataFileWriter, Proposal, StatsBuilder, file_name};
use crate::write::{date_text, put_file};
use crate::{CommitError, Store, StoreError, TableName};

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// What one correlate worker has found, to be committed.
#[derive(Debug)]
pub struct AlertsCommit<'a, P = StatePart> {
    /// The consumer group of the signals topic.
    pub group: &'a str,
    /// The alerts: new ones, and new revisions of earlier ones.
    pub alerts: &'a [Alert],
    /// The offsets of the signals topic that they came from.
    pub checkpoint: CheckpointDelta,
    /// The correlation state of partitions of the signals topic, as it is after these offsets, where it was written anew. For
    /// the others the checkpoint says from where on signals are to be read again after the state of an earlier commit.
    pub states: Vec<(Partition, Vec<P>)>,
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
    /// Whether an alert may be admitted, by its time in microseconds and what else is in columns.
    fn may_admit(&self, latest: &Latest) -> bool {
        self.from.is_none_or(|from| latest.micros >= micros(from))
            && self.to.is_none_or(|to| latest.micros <= micros(to))
            && self.rule_id.as_ref().is_none_or(|rule| latest.rule_id == *rule)
            && self
                .min_level
                .is_none_or(|level| latest.level.parse::<Level>().is_ok_and(|own| own >= level))
            && (self.include_withdrawn || latest.status != status_name(AlertStatus::Withdrawn))
    }

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
    /// The parts of a state are files that were written before, and the commit carries their paths, lengths and SHA-256 in a
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
        let references: Vec<(String, Reference)> = states
            .into_iter()
            .map(|(partition, parts)| (domain(group, &partition), Reference { parts }))
            .collect();
        if let Err(fenced) = fence(&before, group, &checkpoint) {
            let written: Vec<String> = references
                .iter()
                .flat_map(|(_, reference)| reference.paths().cloned())
                .collect();
            self.discard(&self.alerts, &written).await;
            return Err(fenced);
        }
        let (adds, stored_bytes) = self.write_alerts(alerts, now).await?;
        fail_point!("store.alerts-written");
        let files = adds.len() as u64;
        let written: Vec<String> = adds
            .iter()
            .map(|add| add.path.clone())
            .chain(references.iter().flat_map(|(_, reference)| reference.paths().cloned()))
            .collect();
        let domains = references
            .iter()
            .map(|(domain, reference)| reference.action(domain))
            .collect();
        let mut txns = txns(group, &checkpoint, now);
        txns.append(&mut resume_txns(&before, group, &checkpoint, now));
        let proposal = Proposal {
            adds,
            removes: Vec::new(),
            txns,
            domains,
            now,
        };
        let begun = Instant::now();
        let landed = self
            .alerts
            .commit(proposal, &|snapshot| fence(snapshot, group, &checkpoint))
            .await;
        if matches!(landed, Err(CommitError::Fenced { .. })) {
            self.discard(&self.alerts, &written).await;
        }
        let snapshot = landed?;
        let log_time = begun.elapsed();
        let old = references
            .iter()
            .filter_map(|(domain, _)| Reference::of(&before, domain));
        let superseded: Vec<String> = old.flat_map(|old| old.paths().cloned().collect::<Vec<_>>()).collect();
        fail_point!("store.state-superseded");
        self.discard(&self.alerts, &superseded).await;
        Ok(Committed {
            version: snapshot.version,
            files,
            rows: alerts.len() as u64,
            stored_bytes,
            log_time,
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

    /// The groups that have committed alerts, or offsets of the signals topic.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn signal_groups(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(crate::commit::groups(&*self.alerts.snapshot().await?))
    }

    /// Where reading of every partition of the signals topic goes on that `group` has committed alerts of: `resume` is where
    /// its state stands.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn signal_offsets(&self, group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        Ok(crate::commit::starts(&*self.alerts.snapshot().await?, group))
    }

    /// The latest revision of every alert that `filter` admits, the newest first; those of one time by id.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn alerts(&self, filter: AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let snapshot = self.alerts.snapshot().await?;
        let files: Vec<Arc<DataFile>> = snapshot.files.values().cloned().collect();
        let latest = self.latest(&files, |_| true).await?;
        let mut wanted: Vec<Latest> = latest.into_values().filter(|latest| filter.may_admit(latest)).collect();
        wanted.sort_by_key(|latest| std::cmp::Reverse(latest.micros));
        if let Some(last) = filter.limit.checked_sub(1).and_then(|last| wanted.get(last)) {
            // Those of the same microsecond are told apart by their exact time, which is in the alert.
            let last = last.micros;
            wanted.retain(|latest| latest.micros >= last);
        }
        let mut alerts = self.read_alerts(&files, wanted).await?;
        alerts.retain(|alert| filter.admits(alert));
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
        let snapshot = self.alerts.snapshot().await?;
        let may_begin = |file: &&Arc<DataFile>| file.stats.may_begin("id", &prefix);
        let files: Vec<Arc<DataFile>> = snapshot.files.values().filter(may_begin).cloned().collect();
        let found = self.latest(&files, |id| id.starts_with(&prefix)).await?;
        if found.len() > 1 {
            return Err(StoreError::Ambiguous {
                prefix,
                count: found.len(),
                ids: found.into_keys().take(MAX_AMBIGUOUS_IDS).collect(),
            });
        }
        Ok(self.read_alerts(&files, found.into_values().collect()).await?.pop())
    }

    /// The latest revisions of some alerts, each with a time that one of its revisions has or was about; those that are found, in
    /// the order of their ids.
    ///
    /// Files are left out by their dates: all revisions of an alert have the first event in common, which is in its id, and the
    /// time of a revision is less than a `timespan` behind that. No rule has a longer one than [`MAX_ALERT_SPAN_DAYS`]. Of the
    /// others, the ends are read and remembered: they have a bloom filter of the ids.
    ///
    /// # Errors
    /// The alerts table cannot be read.
    pub async fn alerts_by_id(&self, wanted: &[(u128, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        let ids: BTreeMap<String, Timestamp> = wanted.iter().map(|(id, about)| (alert_text(*id), *about)).collect();
        let reach = i64::from(MAX_ALERT_SPAN_DAYS) * NANOS_PER_DAY;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let snapshot = self.alerts.snapshot().await?;
        let mut files: Vec<Arc<DataFile>> = Vec::new();
        for file in snapshot.files.values() {
            let may_have = |id: &str, about: &Timestamp| {
                let (from, to) = (about.saturating_add_nanos(-reach), about.saturating_add_nanos(reach));
                file.stats.may_hold("id", id) && file.stats.may_hold_time(Some(from), Some(to))
            };
            let asked = ids.iter().filter(|(id, about)| may_have(id, about));
            let asked: Vec<&str> = asked.map(|(id, _)| id.as_str()).collect();
            if !asked.is_empty() && may_have_text(self, TableName::Alerts, file, "id", &asked).await? {
                files.push(file.clone());
            }
        }
        let found = self.latest(&files, |id| ids.contains_key(id)).await?;
        let mut alerts = self.read_alerts(&files, found.into_values().collect()).await?;
        alerts.sort_by(|a, b| a.alert.id.cmp(&b.alert.id));
        Ok(alerts)
    }

    /// Where the latest revision of each id is, by the narrow columns alone. Files are never left out by time: a
    /// revision may have moved its alert to another one.
    async fn latest(
        &self,
        files: &[Arc<DataFile>],
        id_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Latest>, StoreError> {
        let mut latest: BTreeMap<String, Latest> = BTreeMap::new();
        for (place, file) in files.iter().enumerate() {
            let columns = ["id", "revision", "status", "time", "rule_id", "level"];
            let mut batches = scan(self, TableName::Alerts, file, &columns).await?;
            let mut number = 0;
            while let Some(batch) = batches.try_next().await? {
                let Some(columns) = NarrowColumns::new(&batch) else {
                    return Err(unreadable(&file.path, "a column is missing or of another type"));
                };
                for row in 0..batch.num_rows() {
                    let id = columns.id.value(row);
                    let revision = columns.revision.value(row);
                    if id_wanted(id) && latest.get(id).is_none_or(|known| known.revision < revision) {
                        latest.insert(id.to_owned(), columns.latest(row, place, number));
                    }
                    number += 1;
                }
            }
        }
        Ok(latest)
    }

    /// Reads the alerts themselves.
    async fn read_alerts(&self, files: &[Arc<DataFile>], wanted: Vec<Latest>) -> Result<Vec<Alert>, StoreError> {
        let mut by_file: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for latest in wanted {
            by_file.entry(latest.file).or_default().insert(latest.row);
        }
        let mut alerts = Vec::new();
        for (file, rows) in by_file {
            let Some(file) = files.get(file) else { continue };
            let selection = select(rows);
            let mut batches = scan_rows(self, TableName::Alerts, file, &["alert"], selection).await?;
            while let Some(batch) = batches.try_next().await? {
                let Some(texts) = batch.column(0).as_string_opt::<i32>() else {
                    return Err(unreadable(&file.path, "the column `alert` is no text"));
                };
                for text in texts.iter().flatten() {
                    let alert = serde_json::from_str(text).map_err(|error| unreadable(&file.path, error))?;
                    alerts.push(alert);
                }
            }
        }
        Ok(alerts)
    }
}

/// Where the latest revision of an alert is, and what a filter asks of it.
struct Latest {
    revision: i32,
    file: usize,
    row: u32,
    micros: i64,
    status: String,
    rule_id: String,
    level: String,
}

/// The columns that tell which alerts to read.
struct NarrowColumns<'a> {
    id: &'a StringArray,
    revision: &'a Int32Array,
    status: &'a StringArray,
    time: &'a TimestampMicrosecondArray,
    rule_id: &'a StringArray,
    level: &'a StringArray,
}

impl<'a> NarrowColumns<'a> {
    fn new(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        Some(Self {
            id: text("id")?,
            revision: batch.column_by_name("revision")?.as_primitive_opt()?,
            status: text("status")?,
            time: batch.column_by_name("time")?.as_primitive_opt()?,
            rule_id: text("rule_id")?,
            level: text("level")?,
        })
    }

    fn latest(&self, row: usize, file: usize, number: u32) -> Latest {
        Latest {
            revision: self.revision.value(row),
            file,
            row: number,
            micros: self.time.value(row),
            status: self.status.value(row).to_owned(),
            rule_id: self.rule_id.value(row).to_owned(),
            level: self.level.value(row).to_owned(),
        }
    }
}

fn unreadable(path: &str, reason: impl Into<crate::error::BoxError>) -> StoreError {
    StoreError::File {
        table: "alerts",
        action: "read",
        path: path.to_owned(),
        source: reason.into(),
    }
}

fn status_name(status: AlertStatus) -> &'static str {
    match status {
        AlertStatus::Provisional => "provisional",
        AlertStatus::Final => "final",
        AlertStatus::Withdrawn => "withdrawn",
        AlertStatus::Retracted => "retracted",
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
        statuses.append_value(status_name(alert.alert.status));
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
