//! What the test binaries share: the program as a process, a real Kafka, workers that are followed through their logs.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod deployment;
pub mod kafka;
pub mod outcome;
pub mod s3;
pub mod topics;
pub mod worker;

use std::process::{Command, Output, Stdio};

/// The `casebook` binary, with no store, logging or failures set by the environment.
pub fn casebook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_casebook"));
    command
        .env_remove("CASEBOOK_STORE")
        .env_remove("CASEBOOK_LOG")
        .env_remove("CASEBOOK_ROLE")
        .env_remove("CASEBOOK_FAILPOINTS")
        .stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Output {
    casebook().args(args).output().unwrap()
}

/// Its standard output, after it ended well.
pub fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Its standard output as one JSON value a line.
pub fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Says on the terminal itself that a test did not run: what goes through `print!` is hidden when a test passes.
pub fn skipped(test: &str, reason: &str) {
    say(&format!("skipped: {test}: {reason}"));
}

/// Says something on the terminal itself.
pub fn say(text: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
