//! The formats in which rows and answers are printed.

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

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnswerFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// One JSON object: the data, how certain each statement is, and the coverage (docs/investigate.md)
    Envelope,
}
