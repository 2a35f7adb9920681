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

/// An error that is the user's to mend: exit code [`USAGE`].
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

/// Prints an error with its causes, and says with which code to end. A reader that closed our output (`| head`) is
/// not an error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return OK;
    }
    eprintln!("casebook: {}", crate::output::escape(&with_causes(error)));
    if is_usage(error) { USAGE.into() } else { FAILED.into() }
}

/// The error and its causes. Many errors tell their cause themselves, since they may be logged alone: it is not told again.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether the user can mend it by saying something else.
fn is_usage(error: &anyhow::Error) -> bool {
    use casebook_store::StoreError;
    error.downcast_ref::<UsageError>().is_some()
        || error.downcast_ref::<casebook_pipeline::ConfigError>().is_some()
        || matches!(
            error.downcast_ref::<StoreError>(),
            Some(StoreError::Query(_) | StoreError::Sql(_))
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let check = |error: anyhow::Error, want: &str| assert_eq!(with_causes(&error), want);
        let cause = || anyhow::anyhow!("no such file");
        check(cause(), "no such file");
        check(cause().context("a.yml"), "a.yml: no such file");
        check(cause().context("a.yml: no such file"), "a.yml: no such file");
        check(
            cause().context("a.yml: no such file").context("rules"),
            "rules: a.yml: no such file",
        );
    }
}
