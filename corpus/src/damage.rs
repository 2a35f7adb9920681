//! Broken records: what a full disk, a wrong topic or a binary file in a log directory makes of a few of them.

use casebook_event::Source;

use crate::line::put;
use crate::random::Random;

/// How a record is broken. None of these can be decoded as its topic's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Cut off in the middle. Of an auth or container line, so early that its time is incomplete.
    Truncated,
    /// Bytes that are no text.
    Binary,
    /// A text of another kind.
    Unknown,
}

/// Most bytes of a binary record.
const MAX_BINARY_BYTES: u64 = 200;

/// Breaks `line`, a record of `source`, in one way or another.
pub(crate) fn inflict(random: &mut Random, source: Source, line: &mut Vec<u8>) -> Damage {
    match random.below(3) {
        0 => {
            let json = line.first() == Some(&b'{');
            let end = if json { line.len() as u64 } else { 10 };
            line.truncate(random.between(2, end) as usize);
            Damage::Truncated
        }
        1 => {
            line.clear();
            // The first two bytes are the gzip magic number: never UTF-8, and no JSON.
            line.extend_from_slice(&[0x1f, 0x8b, 0xff, 0xfe]);
            let length = random.between(16, MAX_BINARY_BYTES);
            line.extend((0..length).map(|_| random.next() as u8));
            Damage::Binary
        }
        _ => {
            line.clear();
            match source {
                Source::Auth | Source::ContainerLog => put!(line; "-- MARK --"),
                // On an application's topic, any text is a line of its log.
                Source::Application => put!(line; "{*** log rotated, reopening ***"),
                _ => put!(line; "*** log rotated, reopening ***"),
            }
            Damage::Unknown
        }
    }
}
