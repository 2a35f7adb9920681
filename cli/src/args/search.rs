//! `casebook search`.

use anyhow::Result;
use casebook_event::Source;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::shared::{StoreArgs, TimeArgs};
use crate::exit_code::usage;
use crate::output::AnswerFormat;

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to find: words, "phrases", field:value, ranges, AND, OR, NOT, ( ), * and ?; @name for a saved one; nothing for all. See docs/query-language.md
    #[arg(value_name = "QUERY")]
    pub query: Vec<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    #[command(flatten)]
    pub time: TimeArgs,
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: SearchFormat,
    /// Only these sources
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub source: Vec<Source>,
    /// Only these fields, by ECS name, short name or path into the source's record
    #[arg(long, value_name = "FIELD", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub fields: Vec<String>,
    /// Print at most so many events, or groups
    #[arg(long, short = 'n', default_value_t = 50)]
    pub limit: usize,
    /// Order: `-time` (newest first), `time` (oldest first), or a field, with `-` in front for downwards
    #[arg(long, value_name = "FIELD", default_value = "-time", allow_hyphen_values = true)]
    pub sort: String,
    /// Print only how many events match
    #[arg(long, conflicts_with_all = ["histogram", "top", "follow"])]
    pub count: bool,
    /// Count the events of each span of time: 5m, 1h, 1d
    #[arg(long, value_name = "SPAN", conflicts_with = "follow")]
    pub histogram: Option<String>,
    /// Count the most frequent values of these fields (of their combinations, where there are several)
    #[arg(long, value_name = "FIELD", value_delimiter = ',', conflicts_with = "follow", value_parser = NonEmptyStringValueParser::new())]
    pub top: Vec<String>,
    /// Go on, and print what is committed from now on, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Say on stderr what was read for the answer
    #[arg(long)]
    pub explain: bool,
    /// Exit with 1 where the answer may lack something
    #[arg(long)]
    pub strict: bool,
    /// Keep the query under this name: `search @NAME` runs it
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// List the saved queries
    #[arg(long)]
    pub saved: bool,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SearchFormat {
    /// Aligned columns
    Table,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// One JSON object: the data, how certain each statement is, and the coverage (docs/investigate.md)
    Envelope,
    /// A Parquet file with the columns of the events table
    Parquet,
}

impl SearchFormat {
    /// The format of what is no list of events.
    pub fn of_rows(self) -> Result<AnswerFormat> {
        match self {
            Self::Table => Ok(AnswerFormat::Table),
            Self::Json => Ok(AnswerFormat::Json),
            Self::Csv => Ok(AnswerFormat::Csv),
            Self::Envelope => Ok(AnswerFormat::Envelope),
            Self::Parquet => Err(usage(
                "--output parquet is for whole events: leave out --fields and what counts",
            )),
        }
    }
}
