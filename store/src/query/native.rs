//! The source's own record, read again from the raw text for the fields that have no column.

use casebook_event::{Value, ValueRef};

/// Fields that carry a whole record as text: docker's json-file, journald and common shippers.
const ENVELOPES: &[&str] = &["log", "message", "MESSAGE"];

/// The record in a raw text: JSON, or JSON after a prefix (CRI: time, stream and tag). `Null` where there is none.
pub(crate) fn parse(raw: &str) -> Value {
    let Some(start) = raw.find('{') else { return Value::Null };
    serde_json::from_str(&raw[start..]).unwrap_or(Value::Null)
}

/// Calls `visit` with the values at a dotted path of the record, or of the record that it carries as text.
pub(crate) fn visit(record: &Value, path: &str, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
    if record.visit_path(path, visit) {
        return true;
    }
    ENVELOPES
        .iter()
        .filter_map(|&key| record.get(key)?.as_str())
        .any(|text| {
            text.trim_start().starts_with('{') && {
                let inner = parse(text);
                inner.visit_path(path, visit)
            }
        })
}
