//! `casebook completions`: for bash, zsh, fish and others.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::exit_code;

pub fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    clap_complete::generate(args.shell, &mut Cli::command(), "casebook", &mut std::io::stdout());
    Ok(exit_code::OK)
}
