//! The binary as users meet it: its commands, and its delivery through a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod commands;
mod delivery;
mod hostile;
mod investigate;
mod late;
mod maintenance;
mod samples;
mod search;
mod stories;
#[path = "../support/mod.rs"]
mod support;
