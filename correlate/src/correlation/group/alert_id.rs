//! The id of an alert: the same in every run that decides the same window.

use casebook_event::EventId;
use compact_str::{CompactString, format_compact};

/// The id of the alert of a rule, a group and the event that begins it, as a number.
pub(crate) fn alert_number(rule_id: &str, group: &[CompactString], anchor: EventId) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for part in std::iter::once(rule_id).chain(group.iter().map(CompactString::as_str)) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&anchor.as_u128().to_le_bytes());
    hasher.digest128()
}

/// The same as text.
pub(crate) fn alert_id(rule_id: &str, group: &[CompactString], anchor: EventId) -> CompactString {
    id_text(alert_number(rule_id, group, anchor))
}

/// The text of an alert's number.
pub(crate) fn id_text(number: u128) -> CompactString {
    format_compact!("{number:032x}")
}
