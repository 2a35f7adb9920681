//! How a command that failed is reported, and with which code it ends.

use std::io::Write as _;
use std::process::ExitCode;

use crate::exit_code::{FAILED, OK, USAGE, UsageError};
use crate::output::{escape_lines, is_dangerous, notice};

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
    notice!("casebook: {}", with_causes(error));
    if is_usage(error) { USAGE.into() } else { FAILED.into() }
}

/// Prints what clap says of the command line: help and version as they are, errors (which cite what was given) escaped.
pub fn report_arguments(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.to_string().chars().all(|c| c == '\n' || !is_dangerous(c)) {
        // A reader that has gone away wants no more of it.
        let _ = error.print();
    } else {
        let _ = write!(std::io::stderr(), "{}", escape_lines(&error.render().to_string()));
    }
    u8::try_from(error.exit_code()).unwrap_or(USAGE).into()
}

/// The error and its causes. Many errors name their cause themselves, since they may be logged alone: it is not repeated.
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

/// Whether the user can fix it by saying something else.
fn is_usage(error: &anyhow::Error) -> bool {
    use casebook_store::StoreError;
    error.downcast_ref::<UsageError>().is_some()
        || error.downcast_ref::<casebook_pipeline::ConfigError>().is_some()
        || matches!(
            error.downcast_ref::<StoreError>(),
            Some(StoreError::Query(_) | StoreError::Sql(_) | StoreError::Ambiguous { .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_once() {
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
