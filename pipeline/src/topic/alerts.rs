//! The alerts topic: every committed report, whole where the brokers take it, else in a form that always fits.

use casebook_event::{Alert, bounded_text};
use rdkafka::Message as _;
use serde_json::json;
use tracing::warn;

use crate::error::PipelineError;
use crate::topic::writer::{Outgoing, Refused, TopicWriter, Transport};

/// Longest name of a rule, or of a field that it groups by, in the least form of an alert, in bytes of JSON.
const MAX_NAME_BYTES: usize = 128;

/// Largest least form of an alert, in bytes: a group has 16 values of [`casebook_event::MAX_GROUP_VALUE_BYTES`] at most.
#[cfg(test)]
pub(crate) const MAX_LEAST_ALERT_BYTES: usize = 16 << 10;

/// Writes alerts, and waits until the brokers have all of them. Returns how many went without their evidence.
///
/// # Errors
/// The brokers refuse one for another reason than its size, or even its least form.
pub(crate) async fn write_alerts<T: Transport>(
    writer: &mut TopicWriter<T>,
    alerts: &[Alert],
) -> Result<u64, PipelineError> {
    for alert in alerts {
        let payload = serde_json::to_vec(alert).unwrap_or_default();
        writer.write(outgoing(alert, &payload)).await?;
    }
    let topic = writer.topic();
    let mut least_forms = 0;
    for Refused { index, message } in writer.take_deliveries().settled().await? {
        let Some(alert) = alerts.get(index) else { continue };
        let whole = message.payload().unwrap_or_default();
        // It may have been its batch that was too large.
        if topic.send_alone(outgoing(alert, whole)).await? {
            continue;
        }
        let least = least_form(alert);
        if !topic.send_alone(outgoing(alert, &least)).await? {
            return Err(topic.too_large(least.len()));
        }
        least_forms += 1;
        warn!(
            id = %alert.alert.id,
            bytes = whole.len(),
            "the topic refuses an alert of that size: sent without its evidence, which is in the table alerts"
        );
    }
    Ok(least_forms)
}

fn outgoing<'a>(alert: &'a Alert, payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        partition: None,
        key: alert.alert.id.as_bytes(),
        payload,
    }
}

/// An alert by what identifies it, with a mark that its evidence is in the table. Its members are those of the whole form.
pub(crate) fn least_form(alert: &Alert) -> Vec<u8> {
    let name = |text: &str| bounded_text(text, MAX_NAME_BYTES).into_owned();
    let group: serde_json::Map<String, serde_json::Value> = alert
        .group
        .iter()
        .map(|(field, value)| {
            (
                name(field),
                json!(bounded_text(value, casebook_event::MAX_GROUP_VALUE_BYTES)),
            )
        })
        .collect();
    let rule = &alert.rule;
    let form = json!({
        "alert": alert.alert,
        "rule": {
            "id": bounded_text(&rule.id, casebook_event::MAX_RULE_ID_BYTES),
            "name": name(&rule.name),
            "level": rule.level,
            "type": name(&rule.kind),
            "version": rule.version,
            "tags": [],
        },
        "group": group,
        "window": alert.window,
        "evidence_total": alert.evidence_total,
        "evidence": [],
        "evidence_in_table": true,
    });
    form.to_string().into_bytes()
}
