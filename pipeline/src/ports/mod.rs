//! Here is a stage: give it the world that it runs in, the real one or a simulated one.
//!
//! ```text
//! RecordSource ─ConsumerEvent─▶ stage ─▶ topic::Transport
//!       ▲─── seek, stop ─────────┤ ▲────── Runtime: time and tasks
//!                                └─▶ Tables: commits, and what they hold
//! ```
//!
//! The stages know these traits alone, never librdkafka, the store or the clock itself: so a test runs them in memory, with time
//! of its own, from a seed.

pub(crate) mod runtime;
pub(crate) mod source;
pub(crate) mod tables;
