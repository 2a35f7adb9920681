//! Here is a file or standard input, give me its records: a line each, or a JSON value each where values span lines.
//!
//! ```text
//! Read ─lines (decompressed)─▶ &[u8] ─┬─ text ─────────────────────────▶ RawRecord
//!                                     └─ json_scan: where a value ends ─┘
//! ```
//!
//! It owns where records begin and end in a file. It never decodes one, and holds no more than a small multiple of
//! [`MAX_RECORD_BYTES`].

mod json_scan;
mod lines;

use std::io::Read;
use std::sync::Arc;

use casebook_event::{Position, RawRecord, Source, Timestamp};

use crate::limits::MAX_RECORD_BYTES;
use crate::source_kind::SourceKind;
use json_scan::{JsonScan, Scanned};
use lines::{Appended, Lines, newlines};

/// The records of a file, in order. The topic is the file's name, the partition 0, the offset the number (from 1) of the
/// line on which the record begins.
///
/// - A line of text is a record. Blank lines are none.
/// - A JSON object or array is a record, with all its lines. Where it breaks JSON's grammar, its first line alone is one
///   (which the decoder refuses), and reading goes on after that line.
/// - An array of events that is longer than [`MAX_RECORD_BYTES`] comes in several records, each an array of as many whole
///   members as fit; `index` of their positions counts on. Anything else of that length is cut, so that the decoder
///   refuses it.
/// - gzip, zstd, LZ4 frames and framed snappy are recognized by their first bytes.
///
/// Memory is bounded by a small multiple of [`MAX_RECORD_BYTES`], and is a few lines' worth for files of lines.
pub struct FileRecords<R: Read> {
    lines: Lines<R>,
    topic: Arc<str>,
    timestamp: Timestamp,
    text_only: bool,
    /// The rest of an array that is read in pieces.
    piece: Option<Piece>,
    max_bytes: usize,
    failed: bool,
}

/// U+FEFF in UTF-8, which some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An array of events of which some members have been emitted.
struct Piece {
    /// What was read of it and not emitted.
    buffer: Vec<u8>,
    scan: JsonScan,
    /// The line on which `buffer` begins.
    line: i64,
    /// Members emitted.
    members: u32,
}

impl<R: Read> FileRecords<R> {
    /// Reads records of `kind` from `reader`, whose name becomes their topic. `timestamp` stands in where a record has no
    /// full time of its own: a file's time of modification, say, so that years are the same in every run.
    pub fn new(reader: R, name: &str, kind: SourceKind, timestamp: Timestamp) -> Self {
        Self {
            lines: Lines::new(reader),
            topic: name.into(),
            timestamp,
            text_only: kind == SourceKind::Source(Source::Auth),
            piece: None,
            max_bytes: MAX_RECORD_BYTES,
            failed: false,
        }
    }

    fn record(&self, line: i64, index: u32, payload: Vec<u8>) -> RawRecord {
        let position = Position {
            topic: self.topic.clone(),
            partition: 0,
            offset: line,
            index,
        };
        RawRecord {
            position,
            timestamp: self.timestamp,
            payload,
        }
    }

    fn read(&mut self) -> std::io::Result<Option<RawRecord>> {
        if let Some(piece) = self.piece.take()
            && let Some(record) = self.read_piece(piece)?
        {
            return Ok(Some(record));
        }
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let line = self.lines.number();
            let appended = self.lines.append(&mut buffer, self.max_bytes + 1)?;
            if appended == Appended::Nothing {
                return Ok(None);
            }
            if line == 1 && buffer.starts_with(BYTE_ORDER_MARK) {
                buffer.drain(..BYTE_ORDER_MARK.len());
            }
            let Some(first) = buffer.trim_ascii_start().first().copied() else {
                continue;
            };
            if !self.text_only && matches!(first, b'{' | b'[') {
                return self.read_json(line, buffer, appended).map(Some);
            }
            return self.line_record(line, buffer, appended).map(Some);
        }
    }

    /// A record of one line, of which only the first part may be in `buffer`.
    fn line_record(&mut self, line: i64, mut buffer: Vec<u8>, appended: Appended) -> std::io::Result<RawRecord> {
        if appended == Appended::Part {
            self.lines.skip_line()?;
        }
        while let Some(b'\n' | b'\r') = buffer.last() {
            buffer.pop();
        }
        Ok(self.record(line, 0, buffer))
    }

    /// Reads on until the JSON value that `buffer` begins with is whole.
    fn read_json(&mut self, line: i64, mut buffer: Vec<u8>, first: Appended) -> std::io::Result<RawRecord> {
        let first_line = buffer.len();
        let mut last = first;
        let mut scan = JsonScan::new(0);
        loop {
            match scan.advance(&buffer) {
                Scanned::Whole => {
                    // Another value may begin on the same line; anything else there is the decoder's to judge.
                    let rest = buffer[scan.at()..].trim_ascii_start();
                    if !matches!(rest.first(), Some(b'{' | b'[')) {
                        return self.line_record(line, buffer, last);
                    }
                    scan = JsonScan::new(buffer.len() - rest.len());
                }
                Scanned::Broken => {
                    self.lines.push_back(&buffer[first_line..]);
                    buffer.truncate(first_line);
                    return self.line_record(line, buffer, first);
                }
                Scanned::More if buffer.len() > self.max_bytes => {
                    if scan.members().1 > 0 {
                        return Ok(self.cut(Piece {
                            buffer,
                            scan,
                            line,
                            members: 0,
                        }));
                    }
                    buffer.truncate(self.max_bytes + 1);
                    return self.line_record(line, buffer, last);
                }
                Scanned::More => {
                    last = self.lines.append(&mut buffer, self.max_bytes + 1)?;
                    if last == Appended::Nothing {
                        return self.line_record(line, buffer, last);
                    }
                }
            }
        }
    }

    /// Emits the whole members that `piece` holds, as an array, and keeps the rest for the next call.
    fn cut(&mut self, mut piece: Piece) -> RawRecord {
        let (range, count) = piece.scan.members();
        let line = piece.line + newlines(&piece.buffer[..range.start]);
        let payload = [b"[", &piece.buffer[range.clone()], b"]"].concat();
        let record = self.record(line, piece.members, payload);
        piece.line += newlines(&piece.buffer[..range.end]);
        piece.members = piece.members.saturating_add(count);
        piece.buffer.drain(..range.end);
        piece.scan.forget();
        self.piece = Some(piece);
        record
    }

    /// The next members of an array that is read in pieces; `None` where none are left.
    fn read_piece(&mut self, mut piece: Piece) -> std::io::Result<Option<RawRecord>> {
        loop {
            let scanned = piece.scan.advance(&piece.buffer);
            let (range, count) = piece.scan.members();
            match scanned {
                Scanned::More if piece.buffer.len() > self.max_bytes && count > 0 => return Ok(Some(self.cut(piece))),
                Scanned::More
                    if piece.buffer.len() <= self.max_bytes
                        && self.lines.append(&mut piece.buffer, self.max_bytes + 1)? != Appended::Nothing =>
                {
                    continue;
                }
                Scanned::Whole if count == 0 => return Ok(None),
                Scanned::Whole => piece.buffer.truncate(range.end),
                _ => {}
            }
            // The end of the array, or of what can be read of it: the decoder takes whole members and refuses the rest.
            let payload = [b"[", piece.buffer.as_slice(), b"]"].concat();
            return Ok(Some(self.record(piece.line, piece.members, payload)));
        }
    }
}

impl<R: Read> Iterator for FileRecords<R> {
    type Item = std::io::Result<RawRecord>;

    /// The next record; or an error of the reader, which says where it happened and is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read().map_err(|error| {
            self.failed = true;
            let place = format!("{}, line {}: {error}", self.topic, self.lines.number());
            std::io::Error::new(error.kind(), place)
        });
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn records(bytes: &[u8], max_bytes: usize) -> Vec<(i64, u32, String)> {
        let mut records = FileRecords::new(bytes, "f", SourceKind::Auto, Timestamp::from_seconds(0));
        records.max_bytes = max_bytes;
        records
            .map(|record| {
                let record = record.unwrap();
                let text = String::from_utf8_lossy(&record.payload).into_owned();
                (record.position.offset, record.position.index, text)
            })
            .collect()
    }

    fn check(text: &str, want: &[(i64, &str)]) {
        let got = records(text.as_bytes(), MAX_RECORD_BYTES);
        let got: Vec<_> = got.iter().map(|(line, _, text)| (*line, text.as_str())).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn lines_and_values() {
        check("", &[]);
        check("\u{feff}{\n}\n", &[(1, "{\n}")]);
        check("a\n\nb\r\n", &[(1, "a"), (3, "b")]);
        check("{\"a\":1}\n{\"b\":2}", &[(1, "{\"a\":1}"), (2, "{\"b\":2}")]);
        check("\n[\n {\"a\":\n1}\n]\nx", &[(2, "[\n {\"a\":\n1}\n]"), (6, "x")]);
        check("{\"a\":1}{\"b\":\n2}\nx", &[(1, "{\"a\":1}{\"b\":\n2}"), (3, "x")]);
        check("{\"a\":1} junk\n{}", &[(1, "{\"a\":1} junk"), (2, "{}")]);
        check("[ERROR] x\n[12/Mar] y", &[(1, "[ERROR] x"), (2, "[12/Mar] y")]);
    }

    #[test]
    fn a_broken_value_costs_its_first_line() {
        check(
            "{\"a\":1,\n{\"b\":2}\n{\"c\":3}\n",
            &[(1, "{\"a\":1,"), (2, "{\"b\":2}"), (3, "{\"c\":3}")],
        );
        check("[[\n[\nx\n", &[(1, "[["), (2, "["), (3, "x")]);
        check("{\"a\":\"\nb\n", &[(1, "{\"a\":\""), (2, "b")]);
        check("{\"a\":[1,\n", &[(1, "{\"a\":[1,")]);
    }

    #[test]
    fn long_arrays_come_in_pieces() {
        let text = "x\n{\"Records\":[{\"a\":1},{\"b\":2},\n{\"c\":3} , {\"d\":4}\n],\"k\":1}\ny\n";
        let got = records(text.as_bytes(), 30);
        let want = [
            (1, 0, "x"),
            (2, 0, "[{\"a\":1}]"),
            (2, 1, "[,{\"b\":2},\n{\"c\":3}]"),
            (3, 3, "[ , {\"d\":4}]"),
            (5, 0, "y"),
        ];
        let members =
            |records: &[(i64, u32, String)]| -> String { records.iter().map(|(_, _, text)| text.as_str()).collect() };
        let plain = |text: &str| text.replace(['[', ']', ',', ' ', '\n'], "");
        let want: Vec<_> = want
            .iter()
            .map(|(line, index, text)| (*line, *index, (*text).to_owned()))
            .collect();
        assert_eq!(plain(&members(&got)), plain(&members(&want)));
        assert!(got.iter().all(|(_, _, text)| text.len() <= 2 * 31), "{got:?}");
        let places: Vec<_> = got.iter().map(|(line, index, _)| (*line, *index)).collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        assert_eq!(got.last().unwrap(), want.last().unwrap());
    }

    #[test]
    fn long_lines_are_cut() {
        let got = records(b"0123456789abcdef\nnext", 8);
        assert_eq!(got, [(1, 0, "012345678".into()), (2, 0, "next".into())]);
        let got = records(b"{\"a\":\"0123456789abcdef\"}\nnext", 8);
        assert_eq!(got, [(1, 0, "{\"a\":\"012".into()), (2, 0, "next".into())]);
    }

    #[test]
    fn a_reader_s_error_says_where_and_is_the_last() {
        struct Failing(bool);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(std::io::Error::other("gone"));
                }
                buffer[..2].copy_from_slice(b"a\n");
                Ok(2)
            }
        }
        let mut records = FileRecords::new(Failing(false), "dir/f", SourceKind::Auto, Timestamp::from_seconds(0));
        assert!(records.next().unwrap().is_ok());
        assert_eq!(records.next().unwrap().unwrap_err().to_string(), "dir/f, line 2: gone");
        assert!(records.next().is_none());
    }

    #[test]
    fn gzip_is_undone() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"a\n{\n}\n").unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(records(&bytes, 100), [(1, 0, "a".into()), (2, 0, "{\n}".into())]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end_and_no_line_is_lost(text in r#"[\[\]{}",:1a\n ]{0,60}"#, max_bytes in 4usize..80) {
            for (line, _, payload) in records(text.as_bytes(), max_bytes) {
                proptest::prop_assert!(line >= 1 && payload.len() <= 2 * max_bytes + 4);
            }
            let all: String = records(text.as_bytes(), 1000).iter().map(|(_, _, payload)| payload.as_str()).collect();
            let plain = |text: &str| text.replace(['\n', ' '], "");
            proptest::prop_assert_eq!(plain(&all), plain(&text));
        }
    }
}
