//! Lines of a reader, in bounded steps, with a way back and compression undone.

use std::io::{BufRead, BufReader, Read, Result};

use flate2::bufread::MultiGzDecoder;

use crate::format::compression::{Compression, Lz4Frames};
use crate::limits::FILE_READ_BYTES;

/// What was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The end of the input: nothing.
    Nothing,
    /// What was left of a line, with its newline if it has one.
    Line,
    /// As much of a line as was allowed.
    Part,
}

pub(crate) struct Lines<R: Read> {
    input: Input<R>,
    /// Bytes to be read again, before the input's.
    pushed: Vec<u8>,
    pushed_at: usize,
    number: i64,
}

enum Input<R: Read> {
    Unknown(BufReader<R>),
    Plain(BufReader<R>),
    Gzip(Box<BufReader<MultiGzDecoder<BufReader<R>>>>),
    Zstd(Box<BufReader<zstd::stream::read::Decoder<'static, BufReader<R>>>>),
    Lz4(Box<BufReader<Lz4Frames<BufReader<R>>>>),
    Snappy(Box<BufReader<snap::read::FrameDecoder<BufReader<R>>>>),
    /// Between two of the others.
    Empty,
}

impl<R: Read> Input<R> {
    fn fill(&mut self) -> Result<&[u8]> {
        if let Self::Unknown(_) = self
            && let Self::Unknown(mut reader) = std::mem::replace(self, Self::Empty)
        {
            *self = match Compression::of(reader.fill_buf()?) {
                Some(Compression::Gzip) => Self::Gzip(buffered(MultiGzDecoder::new(reader))),
                Some(Compression::Zstd) => Self::Zstd(buffered(zstd::stream::read::Decoder::with_buffer(reader)?)),
                Some(Compression::Lz4) => Self::Lz4(buffered(Lz4Frames::new(reader))),
                Some(Compression::Snappy) => Self::Snappy(buffered(snap::read::FrameDecoder::new(reader))),
                // Xerial's blocks are written to Kafka, not to files.
                Some(Compression::Xerial) | None => Self::Plain(reader),
            };
        }
        match self {
            Self::Plain(reader) | Self::Unknown(reader) => reader.fill_buf(),
            Self::Gzip(reader) => reader.fill_buf(),
            Self::Zstd(reader) => reader.fill_buf(),
            Self::Lz4(reader) => reader.fill_buf(),
            Self::Snappy(reader) => reader.fill_buf(),
            Self::Empty => Ok(&[]),
        }
    }

    fn consume(&mut self, bytes: usize) {
        match self {
            Self::Plain(reader) | Self::Unknown(reader) => reader.consume(bytes),
            Self::Gzip(reader) => reader.consume(bytes),
            Self::Zstd(reader) => reader.consume(bytes),
            Self::Lz4(reader) => reader.consume(bytes),
            Self::Snappy(reader) => reader.consume(bytes),
            Self::Empty => {}
        }
    }
}

fn buffered<R: Read>(reader: R) -> Box<BufReader<R>> {
    Box::new(BufReader::with_capacity(FILE_READ_BYTES, reader))
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        let input = Input::Unknown(BufReader::with_capacity(FILE_READ_BYTES, reader));
        Self {
            input,
            pushed: Vec::new(),
            pushed_at: 0,
            number: 1,
        }
    }

    /// The number, from 1, of the line that the next byte belongs to.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Appends the line, or at most `max_bytes` of it, to `out`.
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, max_bytes: usize) -> Result<Appended> {
        self.take(max_bytes, |bytes| out.extend_from_slice(bytes))
    }

    /// Skips what is left of the line.
    pub(crate) fn skip_line(&mut self) -> Result<()> {
        self.take(usize::MAX, |_| {}).map(|_| ())
    }

    /// Reads these bytes, the last that were appended, once more.
    pub(crate) fn push_back(&mut self, bytes: &[u8]) {
        self.number -= newlines(bytes);
        if bytes.len() <= self.pushed_at {
            self.pushed_at -= bytes.len();
        } else {
            let rest = self.pushed.split_off(self.pushed_at);
            self.pushed = [bytes, &rest].concat();
            self.pushed_at = 0;
        }
    }

    fn take(&mut self, max_bytes: usize, mut sink: impl FnMut(&[u8])) -> Result<Appended> {
        let mut taken = 0;
        loop {
            let pushed = self.pushed_at < self.pushed.len();
            let available = if pushed {
                &self.pushed[self.pushed_at..]
            } else {
                retry(&mut self.input)?
            };
            if available.is_empty() {
                return Ok(if taken == 0 { Appended::Nothing } else { Appended::Line });
            }
            let window = &available[..available.len().min(max_bytes - taken)];
            let newline = window.iter().position(|byte| *byte == b'\n');
            let count = newline.map_or(window.len(), |at| at + 1);
            sink(&window[..count]);
            taken += count;
            if pushed {
                self.pushed_at += count;
                if self.pushed_at == self.pushed.len() {
                    self.pushed = Vec::new();
                    self.pushed_at = 0;
                }
            } else {
                self.input.consume(count);
            }
            if newline.is_some() {
                self.number += 1;
                return Ok(Appended::Line);
            }
            if taken == max_bytes {
                return Ok(Appended::Part);
            }
        }
    }
}

/// An interrupted read is no error (`std::io::ErrorKind::Interrupted`).
fn retry<R: Read>(input: &mut Input<R>) -> Result<&[u8]> {
    while let Err(error) = input.fill() {
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill()
}

/// How many newlines are in `bytes`.
pub(crate) fn newlines(bytes: &[u8]) -> i64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as i64
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn compression_is_undone() {
        let text = b"a\nb\n";
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(text).unwrap();
        let mut snappy = snap::write::FrameEncoder::new(Vec::new());
        snappy.write_all(text).unwrap();
        let zstd = zstd::stream::encode_all(&text[..], 1).unwrap();
        for bytes in [zstd, lz4.finish().unwrap(), snappy.into_inner().unwrap()] {
            let mut lines = Lines::new(&bytes[..]);
            let mut out = Vec::new();
            assert_eq!(lines.append(&mut out, 100).unwrap(), Appended::Line);
            assert_eq!(lines.append(&mut out, 100).unwrap(), Appended::Line);
            assert_eq!(lines.append(&mut out, 100).unwrap(), Appended::Nothing);
            assert_eq!(out, text);
        }
    }
}
