//! `casebook run`, `doctor`, `demo` and `bench`: a deployment, a check of one, and two made up.

use std::path::PathBuf;

use clap::Args;

use super::shared::{OutputArgs, StoreArgs};

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// The same seed gives the same story; 1 for a store without alerts, else a new one each time
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration; deploy/casebook.example.yaml shows every key
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the tables are, instead of what the configuration says
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE")]
    pub store: Option<String>,
    /// What this worker does: ingest (logs to events and signals), correlate (signals to alerts), or all
    #[arg(long, value_name = "ROLE", env = "CASEBOOK_ROLE", default_value = "all")]
    pub role: casebook_pipeline::Role,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The configuration; deploy/casebook.example.yaml shows every key
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where the tables are, instead of what the configuration says
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE")]
    pub store: Option<String>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Brokers to use; else a real Kafka is started by deploy/dev/kafka
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Log bytes to put through, in MiB
    #[arg(long, default_value_t = 512, value_name = "MIB")]
    pub size: u64,
    /// What the logs are of: `dense` (everything comes often) or `benign` (a day on which nothing happens)
    #[arg(long, default_value = "dense", value_name = "KIND")]
    pub activity: casebook_corpus::Activity,
    /// Partitions of each log topic
    #[arg(long, default_value_t = 2)]
    pub partitions: i32,
    /// Workers of one group, in this process
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Bytes of records that a commit gathers, in MiB
    #[arg(long, value_name = "MIB")]
    pub commit_size: Option<usize>,
    /// Run without rules
    #[arg(long)]
    pub no_rules: bool,
    /// Run without the tables by which what comes late is correlated (`correlation.keep: false`)
    #[arg(long)]
    pub no_repairs: bool,
    /// Keep the store in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}
