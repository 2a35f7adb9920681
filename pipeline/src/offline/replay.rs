//! Files instead of Kafka: the same decoding, detection and correlation, over an in-memory channel.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use casebook_correlate::{CorrelationConfig, CorrelationEngine, Detector, RuleSet};
use casebook_event::{Alert, EventBatch, Position, RawRecord, SignalMessage, Timestamp};
use casebook_ingest::{Decoder, FileRecords, SourceKind, TopicSettings, endless_kind};

use crate::clock;
use crate::error::PipelineError;

/// What a replay read, beside the alerts it found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Records read.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Events that they held.
    pub events: u64,
    /// What could not become an event.
    pub dead_letters: u64,
}

/// Decodes, detects and correlates what it is given, and answers with final alerts at the end.
///
/// A finite input has no late events: correlation waits for its end, so that the order of records and files does not
/// matter. Memory grows with the matching events.
pub struct Replay {
    decoder: Decoder,
    detector: Detector,
    engine: CorrelationEngine,
    ingested: Timestamp,
    messages: Vec<SignalMessage>,
    alerts: Vec<Alert>,
    batch: EventBatch,
    /// The last record of the file under way.
    last: Option<Position>,
    counts: ReplayCounts,
}

impl Replay {
    /// A replay of records of that kind, of which that is said.
    pub fn new(rules: Arc<RuleSet>, kind: SourceKind, settings: Arc<TopicSettings>) -> Self {
        let config = CorrelationConfig { provisional: false };
        Self {
            decoder: Decoder::new(kind).with_settings(settings),
            engine: CorrelationEngine::new(&rules, config),
            detector: Detector::new(rules),
            ingested: clock::now(),
            messages: Vec::new(),
            alerts: Vec::new(),
            batch: EventBatch::default(),
            last: None,
            counts: ReplayCounts::default(),
        }
    }

    /// Takes one record, and returns what could not be decoded of it.
    ///
    /// # Errors
    /// Groups of a correlation that do not fit into memory cannot be kept.
    pub fn push(&mut self, record: &RawRecord) -> Result<&EventBatch, PipelineError> {
        self.batch.events.clear();
        self.batch.dead_letters.clear();
        self.decoder.decode(record, self.ingested, &mut self.batch);
        self.counts.records += 1;
        self.counts.bytes += record.payload.len() as u64;
        self.last = Some(record.position.clone());
        self.detect()?;
        Ok(&self.batch)
    }

    /// Takes the end of a file: what waited for more of it is emitted. Returns what could not be decoded of it.
    ///
    /// # Errors
    /// As [`Replay::push`].
    pub fn end_of_file(&mut self) -> Result<&EventBatch, PipelineError> {
        self.batch.events.clear();
        self.batch.dead_letters.clear();
        if let Some(last) = self.last.take() {
            self.decoder.flush(&last, self.ingested, &mut self.batch);
            self.detect()?;
        }
        Ok(&self.batch)
    }

    fn detect(&mut self) -> Result<(), PipelineError> {
        self.counts.events += self.batch.events.len() as u64;
        self.counts.dead_letters += self.batch.dead_letters.len() as u64;
        for event in &self.batch.events {
            self.detector.messages(event, &mut self.messages);
            for message in self.messages.drain(..) {
                self.engine.apply(message, &mut self.alerts)?;
            }
        }
        Ok(())
    }

    /// What was read so far.
    pub fn counts(&self) -> ReplayCounts {
        self.counts
    }

    /// The final alerts, in order of time and id.
    ///
    /// # Errors
    /// As [`Replay::push`].
    pub fn finish(mut self) -> Result<Vec<Alert>, PipelineError> {
        self.engine.finish(&mut self.alerts)?;
        self.alerts
            .sort_by(|a, b| (a.alert.time, &a.alert.id).cmp(&(b.alert.time, &b.alert.id)));
        Ok(self.alerts)
    }
}

/// Opens a file, or standard input for `-`, as records. Lines that carry no year are taken to be of the time at which the
/// file was last written, so that a replay gives the same answer on another day.
///
/// # Errors
/// The file cannot be opened.
pub fn open_records(path: &Path, kind: SourceKind) -> Result<FileRecords<Box<dyn Read>>, PipelineError> {
    let name = path.display().to_string();
    if name == "-" {
        return Ok(FileRecords::new(Box::new(std::io::stdin()), &name, kind, clock::now()));
    }
    let failed = |source| PipelineError::File {
        path: name.clone(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    // Records may come through a pipe. A device has no records, and perhaps no end.
    if let Some(kind) = endless_kind(metadata.file_type()) {
        let message = format!("{kind}: records are read from files, pipes, and standard input (-)");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, message)));
    }
    let written = metadata.modified().map_or_else(|_| clock::now(), clock::at);
    Ok(FileRecords::new(Box::new(file) as Box<dyn Read>, &name, kind, written))
}
