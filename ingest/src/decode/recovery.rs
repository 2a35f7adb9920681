//! Records that the parser refuses: decoded as far as they can be read, and dead letters where they are broken.

use super::decoding::{Decoding, Part, first_line};
use super::envelope::Envelope;
use crate::format::json::{self, Recovered};
use crate::format::reject::{self, Reject};
use crate::limits::MAX_BROKEN_VALUES;
use crate::source_kind::SourceKind;
use casebook_event::json::value_end;

impl Decoding<'_> {
    /// Decodes the value that `text` begins with and that the parser refuses, as far as it can be read.
    pub(super) fn refused(&mut self, text: &str, error: &serde_json::Error, broken_values: &mut u32) -> usize {
        let mut found = json::recover(text);
        if let Some(recovered) = found.take_if(|recovered| !recovered.cut) {
            let end = recovered.end.max(1);
            self.recovered(recovered, Part::whole(&text[..end]));
            return end;
        }
        // In a record of several lines, the next line is a new chance: but not for ever, since each costs a look
        // at all that follows.
        *broken_values += 1;
        let line = first_line(text);
        let again = text[line.len()..].trim_ascii_start().starts_with('{') && *broken_values < MAX_BROKEN_VALUES;
        let broken = if again { line } else { text };
        if again {
            found = json::recover(line);
        }
        match found.filter(|recovered| !recovered.is_empty()) {
            Some(recovered) => self.recovered(recovered, Part::whole(broken)),
            None => self.sink.reject(self.reject_of(error), broken.as_bytes()),
        }
        broken.len().max(1)
    }

    /// Decodes an object of which not all could be read, `part.text` being its text.
    pub(super) fn recovered(&mut self, recovered: Recovered, part: Part<'_>) {
        let envelope = Envelope::of_recovered(&recovered).within(part.envelope);
        let part = Part {
            envelope: &envelope,
            ..part
        };
        self.value(recovered.value, part);
    }

    /// Why JSON is none. Of what was cut, it says whose it would have been.
    pub(super) fn reject_of(&self, error: &serde_json::Error) -> Reject {
        let reject = Reject::json(error);
        match self.kind {
            SourceKind::Source(source) if error.is_eof() => reject.of_cut(Some(source)),
            _ => reject,
        }
    }

    /// Says so where an array of events ends between two of them, or before the first: how many more there were is not known.
    pub(super) fn no_end(&mut self, last: Option<(u32, &str)>, end: usize, outer: Part<'_>) {
        let (count, rest) = match last {
            Some((n, slice)) if value_end(slice).is_some() => (n + 1, outer.text.get(end..).unwrap_or_default()),
            None if outer.text.ends_with('[') => (0, outer.text),
            _ => return,
        };
        let nothing = |c: char| c == ',' || c.is_ascii_whitespace();
        if count > 0 && !rest.chars().all(nothing) {
            return;
        }
        let detail = format!("an array without an end, after {count} members");
        let named = match self.kind {
            SourceKind::Source(source) => Some(source),
            SourceKind::Auto => None,
        };
        let reject = Reject::new(reject::INVALID_JSON, detail).of_cut(named);
        self.sink.reject(reject, rest.as_bytes());
    }
}
