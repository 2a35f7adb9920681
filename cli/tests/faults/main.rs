//! Delivery under failure: workers that are killed at every step, that come, go and stand still, brokers that restart, disks
//! that are full. Whatever happens, the tables and the alerts are those of a run that nothing disturbs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod crash;
mod object_store;
mod operations;
mod oversized;
mod repair;
mod scale;
mod secrets;
mod secure;
mod soak;
#[path = "../support/mod.rs"]
mod support;
mod upgrade;
