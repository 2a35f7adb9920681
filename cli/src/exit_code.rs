//! What the process's exit code says. It is an interface: see the README.

use std::process::ExitCode;

/// The command did what it was asked to.
pub const OK: ExitCode = ExitCode::SUCCESS;
/// It ran, and the answer is no: a rule test failed, a rule has errors, an alert does not exist.
pub const NO: u8 = 1;
/// The command line, a configuration, a query or a rule cannot be used. clap uses the same code.
pub const USAGE: u8 = 2;
/// It could not go on: files, store, brokers.
pub const FAILED: u8 = 3;

/// An error that is the user's to fix: exit code [`USAGE`].
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A usage error as an `anyhow` one.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}
