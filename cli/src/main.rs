//! The `casebook` binary: parse, call, print.

mod args;
mod commands;
mod exit_code;
mod failpoints;
mod investigate;
mod kafka_feed;
mod logging;
mod output;
mod progress_bar;
mod rules;
mod stores;
mod time_range;
mod unreadable;

use std::process::ExitCode;

use casebook_pipeline::Config;
use clap::Parser as _;

use crate::args::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) if unreadable::count() == 0 => code,
        Ok(_) => {
            let files = output::counted(unreadable::count(), "data file");
            eprintln!(
                "casebook: the answer lacks {files} that could not be read; `casebook store verify` looks at every file"
            );
            exit_code::FAILED.into()
        }
        Err(error) => exit_code::report(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let traces = match &cli.command {
        // A configuration that cannot be read is told of by the command.
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
