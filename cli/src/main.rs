//! The `casebook` binary: parse, call, print.

// What is said on stderr goes through `output::notice`, which escapes it, as `output` does what is printed.
#![warn(clippy::print_stderr)]

mod args;
mod commands;
mod exit_code;
mod failpoints;
mod failure;
mod hints;

mod kafka_feed;
mod logging;
mod missing;
mod output;
mod progress_bar;
mod resolve;
mod unreadable;

use std::process::ExitCode;

use casebook_pipeline::Config;
use clap::Parser as _;

use crate::args::{Cli, Command};
use crate::output::notice;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_panic));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_arguments(&error),
    };
    match run(cli) {
        Ok(code) if unreadable::count() == 0 => code,
        Ok(_) => {
            let files = output::counted(unreadable::count(), "data file");
            notice!(
                "casebook: the answer lacks {files} that could not be read; `casebook store verify` looks at every file"
            );
            exit_code::FAILED.into()
        }
        Err(error) => failure::report(&error),
    }
}

/// A bug. What it says may cite what was read, so it is escaped as all else is.
fn report_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason = panic.payload_as_str().unwrap_or("no reason given");
    notice!("casebook: a bug at {place}: {reason}");
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        for line in std::backtrace::Backtrace::force_capture().to_string().lines() {
            notice!("{line}");
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let traces = match &cli.command {
        // A configuration that cannot be read is reported by the command.
        Command::Run(args) => Config::read(&args.config).ok().and_then(|config| config.traces),
        _ => None,
    };
    let _traces = logging::init(traces.as_deref())?;
    failpoints::arm()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let code = runtime.block_on(commands::run(cli.command));
    // What did not come to its end in time is not waited for.
    runtime.shutdown_background();
    code
}
