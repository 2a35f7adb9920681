//! CSV as RFC 4180 has it, with a header.

use std::io::Write;

use anyhow::Result;

use super::{Rows, escape};

pub fn write(rows: &Rows, header: bool, out: &mut impl Write) -> Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    if header {
        writer.write_record(&rows.columns)?;
    }
    for row in &rows.rows {
        writer.write_record(row.iter().map(|value| cell(&value.to_text())))?;
    }
    writer.flush()?;
    Ok(())
}

/// Spreadsheets run a cell that begins like a formula; a quote before it makes it text (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let text = escape(text);
    if text.starts_with(['=', '+', '@']) || (text.starts_with('-') && text.parse::<f64>().is_err()) {
        format!("'{text}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let check = |text: &str, want: &str| assert_eq!(cell(text), want);
        check("=1+1", "'=1+1");
        check("-5", "-5");
        check("-rf /", "'-rf /");
        check("a,b", "a,b");
    }
}
