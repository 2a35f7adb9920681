//! What kind of records a topic or a file is configured to hold.

use std::fmt;
use std::str::FromStr;

use casebook_event::{Source, UnknownSource};

/// What a topic's records are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SourceKind {
    /// Known by each record's content.
    #[default]
    Auto,
    /// All of one source. What is not is a dead letter.
    Source(Source),
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Source(source) => f.pad(source.name()),
        }
    }
}

impl FromStr for SourceKind {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        if name == "auto" {
            Ok(Self::Auto)
        } else {
            name.parse().map(Self::Source)
        }
    }
}
