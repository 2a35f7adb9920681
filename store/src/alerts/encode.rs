//! Alerts as Arrow record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use casebook_event::{Alert, AlertStatus, Timestamp};

use crate::data_file::{batch, micros};
use crate::{StoreError, TableName};

/// The name of a status, as its column has it.
pub(super) fn status_name(status: AlertStatus) -> &'static str {
    match status {
        AlertStatus::Provisional => "provisional",
        AlertStatus::Final => "final",
        AlertStatus::Withdrawn => "withdrawn",
        AlertStatus::Retracted => "retracted",
    }
}

/// The alerts, in that order, as one batch of their table.
pub(super) fn record_batch(alerts: &[&Alert], now: Timestamp) -> Result<RecordBatch, StoreError> {
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
