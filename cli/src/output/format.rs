//! The formats in which rows are printed.

use clap::ValueEnum;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
}
