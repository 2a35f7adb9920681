//! What a worker does of the whole.

use std::fmt;
use std::str::FromStr;

/// What a worker does of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Reads the logs, writes events and signals.
    Ingest,
    /// Reads the signals, writes alerts.
    Correlate,
    /// Both, in one process.
    #[default]
    All,
}

impl Role {
    /// Whether it reads the logs.
    pub fn ingests(self) -> bool {
        self != Self::Correlate
    }

    /// Whether it reads the signals.
    pub fn correlates(self) -> bool {
        self != Self::Ingest
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Correlate => "correlate",
            Self::All => "all",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Ingest, Self::Correlate, Self::All]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no role: ingest, correlate or all"))
    }
}
