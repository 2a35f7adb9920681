//! `--older-than`, `--keep-removed`, `--repair-horizon`.

use std::time::Duration;

use anyhow::Result;

use crate::exit_code::usage;

/// An age, as `24h` or `90d`.
pub fn age(flag: &str, text: &str) -> Result<Duration> {
    casebook_pipeline::parse_duration(text).ok_or_else(|| {
        usage(format!(
            "{flag}: `{text}` is no age: write a number and s, m, h, d or w, as in 90d"
        ))
    })
}
