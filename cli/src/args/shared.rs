//! What several commands take: the store, the range of time, the output format, rules, what a topic's configuration says.

use std::path::PathBuf;
use std::sync::Arc;

use casebook_ingest::{ClusterName, TopicSettings, TrustedProxies};
use clap::Args;

use crate::exit_code::usage;
use crate::output::{AnswerFormat, OutputFormat};

#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Where the tables are: a directory or URL
    #[arg(long, value_name = "URL", env = "CASEBOOK_STORE", default_value = "./casebook-data")]
    pub store: String,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: OutputFormat,
}

/// The same for what has an envelope.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: AnswerFormat,
}

#[derive(Debug, Args)]
pub struct TimeArgs {
    /// Only from this long ago on (90s, 15m, 2h, 7d), or from a time on
    #[arg(long, value_name = "DURATION", conflicts_with = "from", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only from this time on: 2026-11-24, "2026-11-24 10:00", 10:30 (today), yesterday, now-2h, RFC 3339 or seconds since 1970; UTC where no offset is said
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct RuleArgs {
    /// Rule files and directories; the built-in pack if none is named
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
}

/// What a deployment's configuration says of a topic, for files.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// The cluster that events are of which do not name theirs
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<ClusterName>,
    /// Networks of one's own proxies, with commas between: the address that such a peer forwards for is believed
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
}

impl TopicArgs {
    /// The same as decoding takes it.
    pub fn settings(&self) -> anyhow::Result<Arc<TopicSettings>> {
        let trusted_proxies = TrustedProxies::parse(&self.trusted_proxies)
            .map_err(|reason| usage(format!("--trusted-proxies: {reason}")))?;
        Ok(Arc::new(TopicSettings {
            cluster: self.cluster.clone(),
            trusted_proxies,
        }))
    }
}
