//! CSV as RFC 4180 has it, with a header.

use std::io::Write;

use anyhow::Result;

use super::escaping::escape;
use super::rows::Rows;

pub fn write(rows: &Rows, header: bool, out: &mut impl Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    if header {
        writer
            .write_record(rows.columns.iter().map(|name| cell(name)))
            .map_err(plain)?;
    }
    for row in &rows.rows {
        writer
            .write_record(row.iter().map(|value| cell(&value.to_text())))
            .map_err(plain)?;
    }
    writer.flush()?;
    Ok(())
}

/// The library hides the error of what is written to; a reader that has gone away must be known as one.
fn plain(error: csv::Error) -> anyhow::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => anyhow::anyhow!("CSV: {other:?}"),
    }
}

/// Spreadsheets run a cell that begins like a formula; a quote before it makes it text (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let text = escape(text);
    if text.starts_with(['=', '+', '@', '＝', '＋', '＠', '－'])
        || (text.starts_with('-') && text.parse::<f64>().is_err())
    {
        format!("'{text}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_known_as_one() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut rows = Rows::new(&["a"]);
        rows.rows = vec![vec!["x".repeat(100_000).into()]];
        let error = write(&rows, true, &mut Closed).unwrap_err();
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        assert_eq!(kind, Some(std::io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn cells() {
        let check = |text: &str, want: &str| assert_eq!(cell(text), want);
        check("=1+1", "'=1+1");
        check("-5", "-5");
        check("-rf /", "'-rf /");
        check("a,b", "a,b");
        check("\t=1+1", "\\t=1+1");
        check("＝1+1", "'＝1+1");
        check("\u{200b}=1+1", "\\u{200b}=1+1");
    }
}
