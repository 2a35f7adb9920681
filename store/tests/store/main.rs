//! A store from outside: what is written is there, once, and found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod alerts;
mod answers;

mod commit;
mod delta_reader;
mod derived;
mod kept;
mod kept_laws;
mod kept_sizes;
mod letters;
mod maintenance;
mod old;
mod read_to_end;
mod search;
mod support;
mod tallies;
mod verify;
