//! `casebook completions`: for bash, zsh, fish and others.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::exit_code;

pub fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    // The library panics where it cannot write: to memory it can.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "casebook", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(exit_code::OK)
}
