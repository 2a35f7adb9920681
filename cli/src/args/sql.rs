//! `casebook sql`.

use std::time::Duration;

use clap::Args;

use super::shared::{OutputArgs, StoreArgs};

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// One SELECT statement; without one, a prompt
    pub query: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Print at most so many rows
    #[arg(long, default_value_t = 1000)]
    pub limit: usize,
    /// Stop a statement that takes more memory, in MiB
    #[arg(long, value_name = "MIB", env = "CASEBOOK_SQL_MEMORY_MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..))]
    pub memory_limit_mib: u32,
    /// Stop a statement that takes longer: 90s, 15m
    #[arg(long, value_name = "DURATION", env = "CASEBOOK_SQL_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    casebook_pipeline::parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration is a number and ms, s, m, h, d or w, as in 90s".to_owned())
}
