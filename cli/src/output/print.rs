//! Rows to standard output, in the format that is asked for.

use std::io::{self, Write};

use anyhow::Result;

use super::format::OutputFormat;
use super::rows::Rows;
use super::{csv_format, json_format, pager, table_format};

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
