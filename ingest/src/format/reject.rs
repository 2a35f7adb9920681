//! Why a record, or a part of one, is no event. The reasons are an interface: see `docs/dead-letters.md`.

use casebook_event::Source;

use crate::limits::MAX_QUOTED_BYTES;

/// No bytes, or nothing but white space and NUL.
pub(crate) const EMPTY: &str = "empty";
/// Longer than [`crate::limits::MAX_RECORD_BYTES`].
pub(crate) const TOO_LARGE: &str = "too_large";
/// Begins as a compressed payload does, and is broken, cut off, or has something else after it.
pub(crate) const BAD_COMPRESSION: &str = "bad_compression";
/// JSON that is nested deeper than [`crate::limits::MAX_JSON_DEPTH`].
pub(crate) const TOO_DEEP: &str = "too_deep";
/// What follows the first [`crate::limits::MAX_EVENTS_PER_RECORD`] events of a record.
pub(crate) const TOO_MANY: &str = "too_many";
/// Bytes that are not UTF-8, where the format says they are.
pub(crate) const INVALID_UTF8: &str = "invalid_utf8";
/// Not JSON, where JSON was expected.
pub(crate) const INVALID_JSON: &str = "invalid_json";
/// Well-formed, and none of the known sources.
pub(crate) const UNKNOWN_SOURCE: &str = "unknown_source";
/// Well-formed, but not what the configured source writes.
pub(crate) const WRONG_SHAPE: &str = "wrong_shape";
/// The source's own time is missing or cannot be read, and nothing may stand in for it.
pub(crate) const NO_TIMESTAMP: &str = "no_timestamp";

/// Why a record is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The stable word for counting.
    pub reason: &'static str,
    /// What was wrong, and where.
    pub detail: String,
}

impl Reject {
    pub(crate) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    pub(crate) fn json(error: &serde_json::Error) -> Self {
        // serde_json has no category for it: the text is the only way to distinguish the depth bound from broken syntax.
        let text = error.to_string();
        let reason = if text.starts_with("recursion limit") {
            TOO_DEEP
        } else {
            INVALID_JSON
        };
        Self::new(reason, text)
    }

    pub(crate) fn utf8(error: std::str::Utf8Error) -> Self {
        Self::new(INVALID_UTF8, format!("not UTF-8 at byte {}", error.valid_up_to()))
    }

    /// The same of a record that was cut: that is what is wrong with it, whatever it lacks. The source is named where it is known.
    pub(crate) fn of_cut(self, source: Option<Source>) -> Self {
        let detail = match source {
            Some(source) => format!("{source}, cut off: {}", self.detail),
            None => format!("cut off: {}", self.detail),
        };
        let reason = if self.reason == TOO_DEEP {
            TOO_DEEP
        } else {
            INVALID_JSON
        };
        Self { reason, detail }
    }

    /// The same, inside member `n` of a record that holds several.
    pub(crate) fn in_member(mut self, n: u32) -> Self {
        self.detail = format!("member {n}: {}", self.detail);
        self
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// The beginning of a text, for an error's detail.
pub(crate) fn quote(text: &str) -> String {
    let mut end = text.len().min(MAX_QUOTED_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{:?}{}", &text[..end], if end < text.len() { "…" } else { "" })
}
