//! `casebook rule`: what rule authors need.

mod backtest;
mod coverage;
mod explain;
mod lint;
mod list;
mod schema;
mod test;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::RuleCommand;

pub async fn run(command: RuleCommand) -> Result<ExitCode> {
    match command {
        RuleCommand::Lint(args) => lint::run(&args),
        RuleCommand::Test(args) => test::run(&args),
        RuleCommand::List(args) => list::run(&args),
        RuleCommand::Backtest(args) => backtest::run(args).await,
        RuleCommand::Coverage(args) => coverage::run(&args),
        RuleCommand::Schema => schema::run(),
        RuleCommand::Explain(args) => explain::run(&args),
    }
}
