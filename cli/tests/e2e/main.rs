//! The binary as users meet it: its commands, and its delivery through a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod commands;
mod delivery;
mod kafka;
mod samples;
mod stories;
mod worker;

use std::process::{Command, Output, Stdio};

/// The `casebook` binary, with no store or logging set by the environment.
fn casebook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casebook"));
    command
        .env_remove("CASEBOOK_STORE")
        .env_remove("CASEBOOK_LOG")
        .stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
fn run(args: &[&str]) -> Output {
    casebook().args(args).output().unwrap()
}

/// Its standard output, after it ended well.
fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Its standard output as one JSON value a line.
fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Says on the terminal itself that a test did not run: what goes through `print!` is hidden when a test passes.
fn skipped(test: &str, reason: &str) {
    use std::io::Write as _;
    std::io::stderr()
        .write_all(format!("skipped: {test}: {reason}\n").as_bytes())
        .unwrap();
}
