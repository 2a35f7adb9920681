//! `casebook store`.

use casebook_event::Source;
use clap::{Args, Subcommand, ValueEnum};

use super::shared::{OutputArgs, RuleArgs, StoreArgs, TimeArgs};

/// How long files stay that no log entry names, where nothing else is said.
const DEFAULT_REMOVED_AGE: &str = "24h";

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Count files, rows and bytes, by table, date or source
    Stats(StatsArgs),
    /// Put small files together, so that searches open fewer
    Compact(CompactArgs),
    /// Delete what is older than an age, or the events of some sources
    Expire(ExpireArgs),
    /// Delete files from the disk that no table names any more
    Vacuum(VacuumArgs),
    /// Read everything, and compare it with what the log says
    Verify(VerifyArgs),
    /// Build indexes that are missing or broken
    RebuildIndex(RebuildIndexArgs),
    /// Make what correlation keeps again, from the events
    Rebuild(RebuildArgs),
    /// Times of which nothing expires
    #[command(subcommand)]
    Hold(HoldCommand),
}

#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// By what to count
    #[arg(long, value_enum, default_value = "table")]
    pub by: StatsBy,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// By what to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsBy {
    /// A row for each table
    Table,
    /// A row for each table and date
    Date,
    /// A row for each source of events; reads one column of the files
    Source,
    /// A row for each topic that was read: up to when all that it held is in the tables
    Topic,
}

#[derive(Debug, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Bytes of records that a file is to have at most, in MiB; files below half of it are put together
    #[arg(long, value_name = "MIB")]
    pub target: Option<usize>,
    /// Delete replaced files from the disk when they were replaced so long ago: 24h, 7d at most
    #[arg(long, value_name = "AGE", default_value = DEFAULT_REMOVED_AGE)]
    pub keep_removed: String,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct ExpireArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Dates (UTC) that ended so long ago: 90d, 52w
    #[arg(long, value_name = "AGE")]
    pub older_than: String,
    /// Only events of these sources; else all events and dead letters. Alerts stay, and so does what correlation keeps for late
    /// events
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub source: Vec<Source>,
    /// What correlation keeps for late events goes with dates (UTC) that ended so long ago: 14d; not less than the repair
    /// horizon of the workers. What later answers need of it stays
    #[arg(long, value_name = "AGE", conflicts_with = "source")]
    pub repair_horizon: Option<String>,
    /// Say what would go, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Delete removed files from the disk when they were removed so long ago: 24h, 7d at most
    #[arg(long, value_name = "AGE", default_value = DEFAULT_REMOVED_AGE)]
    pub keep_removed: String,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct VacuumArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only files that were replaced, or written without a commit, so long ago; 7d at most. Searches that run longer, and
    /// workers whose commits wait longer, would miss files
    #[arg(long, value_name = "AGE", default_value = DEFAULT_REMOVED_AGE)]
    pub older_than: String,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct RebuildIndexArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Also those that are sound
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Which table
    #[arg(value_enum, value_name = "TABLE")]
    pub table: DerivedTable,
    #[command(flatten)]
    pub rules: RuleArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A table that can be made again from the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DerivedTable {
    /// The matches of rules that see several events; by the rules that are given, which should be those of the workers
    Signals,
    /// What names stood for
    Bindings,
}

#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Place a hold: nothing of its dates expires until it is released
    Add(HoldAddArgs),
    /// Show the holds that stand
    List(HoldListArgs),
    /// Release a hold
    Release(HoldReleaseArgs),
}

#[derive(Debug, Args)]
pub struct HoldAddArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// What to call it: letters, digits, `.`, `_`, `-`
    pub name: String,
    /// The span that is held; without an end, all that comes
    #[command(flatten)]
    pub time: TimeArgs,
    /// Why: the case, the order, who asked
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct HoldListArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct HoldReleaseArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Which
    pub name: String,
}
