//! The commands, one a file: "here are a command's arguments, do it, give me the exit code". A command resolves, calls and prints; it
//! decides nothing that a crate below could, and knows no sibling but those below it (`subject`, `replay`).

mod alert;
mod bench;
mod completions;
mod correlation;
mod demo;
mod doctor;
mod entity;
mod normalize;
mod replay;
mod rule;
mod run;
mod search;
mod sql;
mod store;
mod subject;
mod timeline;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Command;

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Run(args) => run::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Replay(args) => replay::run(&args),
        Command::Normalize(args) => normalize::run(&args),
        Command::Search(args) => search::run(args).await,
        Command::Sql(args) => sql::run(args).await,
        Command::Store(command) => store::run(command).await,
        Command::Alert(command) => alert::run(command).await,
        Command::Timeline(args) => timeline::run(args).await,
        Command::Entity(command) => entity::run(command).await,
        Command::Rule(command) => rule::run(command).await,
        Command::Correlation(command) => correlation::run(command).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}
