//! JSON: one object a line.

use std::io::Write;

use anyhow::Result;
use casebook_event::Value;

use super::escaping::escape_json;
use super::rows::Rows;

pub fn write_rows(rows: &Rows, out: &mut (impl Write + ?Sized)) -> Result<()> {
    for row in &rows.rows {
        let object = Value::Map(
            rows.columns
                .iter()
                .map(|c| c.as_str().into())
                .zip(row.iter().cloned())
                .collect(),
        );
        write_line(&object, out)?;
    }
    Ok(())
}

/// One value, escaped as [`escape_json`] says.
pub fn write_line(value: &impl serde::Serialize, out: &mut (impl Write + ?Sized)) -> Result<()> {
    writeln!(out, "{}", escape_json(&serde_json::to_string(value)?))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_the_same() {
        let value = Value::str("a\u{9b}b\u{202e}c\u{7f}\u{e0041}\n");
        let mut out = Vec::new();
        write_line(&value, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a\\u009bb\\u202ec\\u007f\\udb40\\udc41\\n\"\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
