//! What is printed, in one file per format. Everything that came out of a log is escaped: logs are written by attackers,
//! and terminals obey what they are shown.

mod csv_format;
mod escaping;
pub mod explained;
pub mod histogram;
mod json_format;
pub mod junit;
pub mod notice;
pub mod pager;
pub mod sarif;
mod table_format;

use std::io::{self, Write};

use anyhow::Result;
use casebook_event::Value;

use crate::args::OutputFormat;

pub use escaping::{escape, escape_json, escape_lines, is_dangerous};
pub(crate) use notice::notice;

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

/// Standard output for lines of text or JSON: whatever is written is escaped on its way, line ends apart.
pub fn lines() -> io::BufWriter<Lines> {
    io::BufWriter::new(Lines)
}

/// See [`lines`].
#[derive(Debug)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // What is written in one piece is a text; the buffer before this one keeps pieces whole.
        let shown = String::from_utf8_lossy(text);
        io::stdout().lock().write_all(escape_lines(&shown).as_bytes())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Files that write to the process's streams by themselves, and why they may.
    const MAY: &[(&str, &str)] = &[
        ("logging.rs", "escapes each line of the log"),
        ("exit_code.rs", "escapes what clap says"),
        ("progress_bar.rs", "draws a bar, of numbers and words of our own"),
        ("commands/sql.rs", "writes a prompt without a line end"),
        ("commands/search/mod.rs", "writes Parquet, to no terminal"),
        ("commands/completions.rs", "writes a script of our own, with tabs"),
    ];

    fn check(directory: &Path, root: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check(&path, root);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name.starts_with("output/") || MAY.iter().any(|(file, _)| *file == name) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for way in ["stdout()", "stderr()", "println!", "print!", "dbg!"] {
                let told = text.contains(way);
                assert!(
                    !told,
                    "{name} prints by itself, with {way}: see output::lines and output::notice"
                );
            }
        }
    }

    /// Nothing reaches a terminal but through this module.
    #[test]
    fn every_command_prints_through_this_module() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        check(&root, &root);
    }
}
