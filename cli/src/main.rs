//! The `casebook` binary: parse, call, print.

mod args;
mod commands;
mod exit_code;
mod kafka_feed;
mod output;
mod progress_bar;
mod rules;
mod stores;
mod time_range;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logging();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit_code::report(&error.into()),
    };
    match runtime.block_on(commands::run(cli.command)) {
        Ok(code) => code,
        Err(error) => exit_code::report(&error),
    }
}

/// Logs go to stderr: warnings by default, more with `CASEBOOK_LOG=info` (tracing-subscriber's filter syntax), as JSON
/// lines with `CASEBOOK_LOG_FORMAT=json`.
fn init_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CASEBOOK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,casebook_pipeline=info,casebook_ingest=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if std::env::var("CASEBOOK_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.init();
    }
}
