//! JSON: one object a line.

use std::io::Write;

use anyhow::Result;
use casebook_event::Value;

use super::{Rows, is_dangerous};

pub fn write_rows(rows: &Rows, out: &mut impl Write) -> Result<()> {
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

/// JSON leaves the controls beyond ASCII and the reordering characters as they are; they are written as `\uXXXX`, which
/// means the same to every reader.
pub fn write_line(value: &impl serde::Serialize, out: &mut impl Write) -> Result<()> {
    let text = serde_json::to_string(value)?;
    let mut rest = text.as_str();
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_dangerous(*c)) {
        write!(out, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
        rest = &rest[at + c.len_utf8()..];
    }
    writeln!(out, "{rest}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_the_same() {
        let value = Value::str("a\u{9b}b\u{202e}c\u{7f}\n");
        let mut out = Vec::new();
        write_line(&value, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a\\u009bb\\u202ec\\u007f\\n\"\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
