//! The corpus as a file, so that everything that is measured gets the same bytes and none of them pays for making them.
//!
//! A line is a record: topic, event time in nanoseconds, key and payload, with tabs between them. Payloads that hold a line end
//! or are no text are left out, since not every program under test takes them.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;

use casebook_corpus::{Corpus, CorpusConfig, Damage};
use casebook_event::Timestamp;

use crate::Result;

pub struct Record<'a> {
    pub topic: &'a str,
    pub time: Timestamp,
    pub key: &'a str,
    pub payload: &'a [u8],
}

pub fn write(file: &Path, size: u64, seed: u64, second: i64) -> Result<()> {
    let start = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").ok_or("the start is no time")?;
    let config = CorpusConfig {
        seed,
        start: start.saturating_add_nanos(second * 1_000_000_000),
        ..CorpusConfig::default()
    };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut bytes = 0;
    for record in Corpus::new(config) {
        if bytes >= size {
            break;
        }
        let odd = |text: &str| text.contains(['\t', '\n']);
        if record.damage == Some(Damage::Binary) || record.payload.contains(&b'\n') || odd(&record.key) {
            continue;
        }
        write!(out, "{}\t{}\t{}\t", record.topic, record.time.as_nanos(), record.key)?;
        out.write_all(&record.payload)?;
        out.write_all(b"\n")?;
        bytes += record.payload.len() as u64;
    }
    out.flush()?;
    Ok(())
}

/// The records of a file, in its order.
pub struct Reader {
    lines: BufReader<File>,
    line: Vec<u8>,
}

impl Reader {
    pub fn open(file: &Path) -> Result<Self> {
        Ok(Self {
            lines: BufReader::with_capacity(1 << 20, File::open(file)?),
            line: Vec::new(),
        })
    }

    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        self.line.clear();
        if self.lines.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        let mut parts = self
            .line
            .strip_suffix(b"\n")
            .unwrap_or(&self.line)
            .splitn(4, |byte| *byte == b'\t');
        let mut part = || parts.next().ok_or("a line of the corpus lacks a part");
        Ok(Some(Record {
            topic: std::str::from_utf8(part()?)?,
            time: Timestamp::from_nanos(std::str::from_utf8(part()?)?.parse()?),
            key: std::str::from_utf8(part()?)?,
            payload: part()?,
        }))
    }
}

/// The payload of a line.
pub fn payload(line: &[u8]) -> &[u8] {
    line.splitn(4, |byte| *byte == b'\t').nth(3).unwrap_or_default()
}
