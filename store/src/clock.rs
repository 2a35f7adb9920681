//! The wall clock, for what a table says of itself and no answer depends on: when it was created, and how old its log is.

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
