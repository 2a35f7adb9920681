//! What is printed, in one file per format. Everything that came out of a log is escaped: logs are written by attackers,
//! and terminals obey what they are shown.

mod csv_format;
pub mod explained;
pub mod histogram;
mod json_format;
pub mod junit;
pub mod pager;
pub mod sarif;
mod table_format;

use std::fmt::Write as _;
use std::io::{self, Write};

use anyhow::Result;
use casebook_event::Value;

use crate::args::OutputFormat;

/// Rows with named columns.
#[derive(Debug, Default)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// As many values a row as there are columns.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows under these columns.
    pub fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&c| c.to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

/// Prints rows to stdout: on a terminal through a pager, where they are more than it shows.
pub fn print(rows: &Rows, format: OutputFormat) -> Result<()> {
    let mut text = Vec::new();
    write(rows, format, true, &mut text)?;
    pager::show(&text)
}

/// Prints rows to stdout at once, with a header where `header` is given.
pub fn print_on(rows: &Rows, format: OutputFormat, header: bool) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    write(rows, format, header, &mut out)?;
    out.flush()?;
    Ok(())
}

fn write(rows: &Rows, format: OutputFormat, header: bool, out: &mut impl Write) -> Result<()> {
    match format {
        OutputFormat::Table => table_format::write(rows, header, out),
        OutputFormat::Json => json_format::write_rows(rows, out),
        OutputFormat::Csv => csv_format::write(rows, header, out),
    }
}

/// Writes one value as one line of JSON.
pub fn write_json(value: &impl serde::Serialize, out: &mut impl Write) -> Result<()> {
    json_format::write_line(value, out)
}

/// `1 alert`, `2 alerts`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Whether a terminal might act on this character instead of showing it: controls, and those that reorder text.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with what a terminal might act on written out as `\u{…}`.
pub fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\t' => escaped.push_str("\\t"),
            '\r' => escaped.push_str("\\r"),
            // Writing to a String cannot fail.
            c if is_dangerous(c) => drop(write!(escaped, "\\u{{{:x}}}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing() {
        let check = |text: &str, want: &str| assert_eq!(escape(text), want);
        check("plain é 日本", "plain é 日本");
        check("\u{1b}[2Jgone", "\\u{1b}[2Jgone");
        check("a\nb\u{9b}c\u{7f}", "a\\nb\\u{9b}c\\u{7f}");
        check("\u{202e}txt.exe", "\\u{202e}txt.exe");
    }
}
