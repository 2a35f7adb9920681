//! Here are events with their signals: give me one commit of rows and offsets, signals confirmed first.
//!
//! ```text
//! Detected ─▶ stage: gathers a batch ─CommitTask─▶ task: signals confirmed, dead letters, tables ─Outcome─▶ stage
//!                                                    └ prepared: files written ahead of their commit
//! ```

pub(crate) mod prepared;
pub(crate) mod stage;
pub(crate) mod task;
