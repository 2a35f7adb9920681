//! The dead-letter topic: what is written to it, cut to what the brokers take.
//!
//! Nothing else of Casebook's may be passed over. Of a letter that is refused in its least form, the table has what it keeps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use casebook_event::{Cut, DeadLetter};
use serde_json::json;
use tracing::warn;

use crate::error::PipelineError;
use crate::telemetry::metrics::Metrics;
use crate::topic::writer::{Outgoing, Refused, TopicWriter, Transport};

/// Most payload of a letter in the topic, in bytes; then what is tried where the brokers refuse it: the least form is the key
/// alone. The first fits into a topic of Kafka's default (1,048,588), key and all.
const PAYLOAD_BYTES: [usize; 4] = [1_000_000, 48 << 10, 4 << 10, 0];

/// The topic, and what was learned of it.
#[derive(Debug, Clone)]
pub(crate) struct LetterTopic {
    name: String,
    /// The place in [`PAYLOAD_BYTES`] from which on letters are tried: what is larger was refused before.
    form: Arc<AtomicUsize>,
}

/// What became of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written {
    /// Those that went whole.
    pub(crate) whole: u64,
    /// Those of which a part went.
    pub(crate) cut: u64,
    /// Those of which the brokers took nothing.
    pub(crate) passed: u64,
}

impl LetterTopic {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            form: Arc::default(),
        }
    }

    /// Writes letters, and waits until the brokers have of each what they take.
    ///
    /// # Errors
    /// The brokers refuse one for another reason than its size.
    pub(crate) async fn write<T: Transport>(
        &self,
        transport: T,
        letters: &[DeadLetter],
    ) -> Result<Written, PipelineError> {
        let mut writer = TopicWriter::new(transport, &self.name);
        let form = self.form.load(Ordering::Relaxed).min(PAYLOAD_BYTES.len() - 1);
        let mut written = Written::default();
        for letter in letters {
            let Formed { key, payload } = formed(letter, PAYLOAD_BYTES[form]);
            writer.write(outgoing(&key, payload)).await?;
        }
        let topic = writer.topic();
        let refused = writer.take_deliveries().settled().await?;
        let mut again: VecDeque<usize> = refused.into_iter().map(|refused: Refused| refused.index).collect();
        for (index, letter) in letters.iter().enumerate() {
            let mut is_cut = letter.cut.is_some() || letter.payload.len() > PAYLOAD_BYTES[form];
            let mut is_taken = true;
            if again.front() == Some(&index) {
                again.pop_front();
                is_taken = false;
                // It may have been its batch that was too large: the same form alone comes first.
                for (place, bytes) in PAYLOAD_BYTES.iter().enumerate().skip(form) {
                    let Formed { key, payload } = formed(letter, *bytes);
                    if topic.send_alone(outgoing(&key, payload)).await? {
                        (is_taken, is_cut) = (true, letter.cut.is_some() || letter.payload.len() > *bytes);
                        break;
                    }
                    self.learn(letter, place, *bytes);
                }
            }
            match (is_taken, is_cut) {
                (true, false) => written.whole += 1,
                (true, true) => written.cut += 1,
                (false, _) => {
                    written.passed += 1;
                    warn!(
                        topic = self.name,
                        position = %letter.position,
                        reason = letter.reason,
                        bytes = letter.cut.as_ref().map_or(letter.payload.len() as u64, |cut| cut.bytes),
                        "dead letter passed over: the topic takes not even its key; it is in the table dead_letters"
                    );
                }
            }
        }
        Ok(written)
    }

    /// Takes note that a form was refused alone. A letter that is smaller than the form allows says nothing of larger ones
    /// but that they are refused too.
    fn learn(&self, letter: &DeadLetter, place: usize, bytes: usize) {
        let next = (place + 1).min(PAYLOAD_BYTES.len() - 1);
        if letter.payload.len() >= bytes && self.form.fetch_max(next, Ordering::Relaxed) < next {
            warn!(
                topic = self.name,
                refused_bytes = bytes,
                "the topic refuses dead letters of that size: they are cut; raise its max.message.bytes to have more of them"
            );
        }
    }

    /// Writes letters, and counts them.
    pub(crate) async fn send<T: Transport>(
        &self,
        transport: &T,
        letters: &[DeadLetter],
        metrics: &Metrics,
    ) -> Result<(), PipelineError> {
        let written = self.write(transport.clone(), letters).await?;
        metrics.letters_written(written.cut, written.passed);
        Ok(())
    }
}

fn outgoing<'a>(key: &'a [u8], payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        partition: None,
        key,
        payload,
    }
}

/// A letter as it goes into the topic.
struct Formed<'a> {
    /// JSON: where it was read and what was wrong; where the payload is not the whole, what that was.
    key: Vec<u8>,
    payload: &'a [u8],
}

/// The form of a letter with at most so many bytes of its payload.
fn formed(letter: &DeadLetter, payload_bytes: usize) -> Formed<'_> {
    let payload = letter.payload.get(..payload_bytes).unwrap_or(&letter.payload);
    let mut head = json!({ "position": letter.position, "reason": letter.reason, "detail": letter.detail });
    let cut = match &letter.cut {
        None if payload.len() < letter.payload.len() => Some(Cut::of(&letter.payload)),
        cut => cut.clone(),
    };
    if let Some(cut) = &cut {
        head["cut"] = json!(cut);
    }
    Formed {
        key: head.to_string().into_bytes(),
        payload,
    }
}
