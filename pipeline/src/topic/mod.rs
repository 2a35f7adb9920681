//! Here is a message for a topic of Casebook's own: give me the brokers' confirmation.
//!
//! ```text
//! SignalMessage ─▶ signals ─┐
//! Alert ─────────▶ alerts ──┼─Outgoing─▶ writer ─▶ Transport (librdkafka) ─▶ topic
//! DeadLetter ────▶ letters ─┘
//! ```
//!
//! `admin` makes the topics and reads their settings. Nothing here reads a topic.

pub(crate) mod admin;
pub(crate) mod alerts;
pub(crate) mod client;
pub(crate) mod letters;
pub(crate) mod signals;
#[cfg(test)]
mod tests;
pub(crate) mod writer;
