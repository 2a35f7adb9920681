//! A line as container runtimes write it: `TIME STREAM TAGS MESSAGE` (Kubernetes CRI logging format).

use casebook_event::Timestamp;

/// The parts of a CRI line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CriLine<'a> {
    /// When the runtime read the line.
    pub(crate) time: Timestamp,
    /// That time as written.
    pub(crate) time_text: &'a str,
    /// `stdout` or `stderr`.
    pub(crate) stream: &'a str,
    /// `P` where the line goes on in the next record (the runtime cuts at 16 KiB), else `F`; more tags after colons.
    pub(crate) tags: &'a str,
    /// The text, which may be empty.
    pub(crate) message: &'a str,
}

impl<'a> CriLine<'a> {
    /// `None` where `line` is no CRI line.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let (time_text, rest) = line.split_once(' ')?;
        if time_text.as_bytes().get(10) != Some(&b'T') {
            return None;
        }
        let (stream, rest) = rest.split_once(' ')?;
        if !matches!(stream, "stdout" | "stderr") {
            return None;
        }
        let (tags, message) = rest.split_once(' ').unwrap_or((rest, ""));
        if !matches!(tags.split(':').next(), Some("P" | "F")) {
            return None;
        }
        Some(Self {
            time: Timestamp::parse_rfc3339(time_text)?,
            time_text,
            stream,
            tags,
            message,
        })
    }

    /// Whether the line goes on in the next record.
    pub(crate) fn is_partial(&self) -> bool {
        self.tags.split(':').next() == Some("P")
    }
}

/// Longest head of a line of a container, in bytes: a time, a stream and its tags.
const MAX_HEAD_BYTES: usize = 64;

/// Whether a record is a line that goes on in the next one, by its head alone.
pub(crate) fn is_cut(record: &[u8]) -> bool {
    let head = record.get(..record.len().min(MAX_HEAD_BYTES)).unwrap_or_default();
    let mut words = head.split(|byte| *byte == b' ').skip(1);
    matches!(words.next(), Some(b"stdout" | b"stderr")) && matches!(words.next(), Some([b'P'] | [b'P', b':', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, want: Option<(&str, bool, &str)>| {
            let got = CriLine::parse(line).map(|l| (l.stream, l.is_partial(), l.message));
            assert_eq!(got, want, "{line}");
        };
        check(
            "2016-10-06T00:17:09.669794202Z stdout P log content 1",
            Some(("stdout", true, "log content 1")),
        );
        check("2016-10-06T00:17:09+02:00 stderr F ", Some(("stderr", false, "")));
        check("2016-10-06T00:17:09Z stderr F", Some(("stderr", false, "")));
        check("2016-10-06T00:17:09Z stdout F:x  two", Some(("stdout", false, " two")));
        check("2016-10-06T00:17:09Z stdout X m", None);
        check("2016-10-06T00:17:09Z stdin F m", None);
        check("2016-10-06 00:17:09 stdout F m", None);
        check("", None);
    }
}
