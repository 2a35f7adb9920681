//! Stack traces.

/// Whether a line may be followed by a stack trace.
pub(crate) fn is_head(line: &str) -> bool {
    line.contains("Exception: ")
}

/// Whether a line goes on with the stack trace before it.
pub(crate) fn continues(line: &str) -> bool {
    line.trim_start().starts_with("at ")
}
