//! Aligned columns for people.

use std::io::{IsTerminal as _, Write};

use anyhow::Result;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::escaping::escape;
use super::rows::Rows;

/// Widest cell on a terminal; elsewhere nothing is cut.
const MAX_CELL_COLUMNS: usize = 60;
/// Widest column that is aligned. A cell that is wider shifts its own row alone: one long cell must not pad all others.
const MAX_ALIGNED_COLUMNS: usize = 250;
/// As many spaces as are ever needed between two cells.
const SPACES: &str = match std::str::from_utf8(&[b' '; MAX_ALIGNED_COLUMNS]) {
    Ok(spaces) => spaces,
    Err(_) => "",
};

pub fn write(rows: &Rows, with_header: bool, out: &mut impl Write) -> Result<()> {
    write_for(std::io::stdout().is_terminal(), rows, with_header, out)
}

fn write_for(terminal: bool, rows: &Rows, with_header: bool, out: &mut impl Write) -> Result<()> {
    let last = rows.columns.len().saturating_sub(1);
    let cells: Vec<Vec<String>> = rows
        .rows
        .iter()
        .map(|row| {
            let cut = |(n, text): (usize, String)| {
                if terminal && n != last {
                    cut(&text, MAX_CELL_COLUMNS)
                } else {
                    text
                }
            };
            row.iter()
                .map(|value| escape(&value.to_text()).into_owned())
                .enumerate()
                .map(cut)
                .collect()
        })
        .collect();
    let width = |n: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(n))
            .map(|cell| cell.width())
            .filter(|width| *width <= MAX_ALIGNED_COLUMNS)
            .max()
            .unwrap_or(0)
    };
    // A statement names its columns as it likes.
    let names: Vec<String> = rows.columns.iter().map(|name| escape(name).to_uppercase()).collect();
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(n, name)| width(n).max(name.width()).min(MAX_ALIGNED_COLUMNS))
        .collect();
    if with_header {
        if terminal {
            write!(out, "\x1b[1m")?;
        }
        write_row(&names, &widths, out)?;
        if terminal {
            write!(out, "\x1b[0m")?;
        }
    }
    for row in &cells {
        write_row(row, &widths, out)?;
    }
    Ok(())
}

fn write_row(cells: &[String], widths: &[usize], out: &mut impl Write) -> Result<()> {
    for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if n + 1 == cells.len() {
            write!(out, "{cell}")?;
        } else {
            // The width of a format specification has 16 bits, and panics beyond them.
            let pad = width.saturating_sub(cell.width()).min(SPACES.len());
            write!(out, "{cell}{}  ", &SPACES[..pad])?;
        }
    }
    writeln!(out)?;
    Ok(())
}

fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(terminal: bool, rows: &Rows) -> String {
        let mut out = Vec::new();
        write_for(terminal, rows, true, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_of_any_width_is_printed_whole_and_pads_no_other_row() {
        for width in [65_535, 65_536, 200_000] {
            let mut rows = Rows::new(&["raw", "n"]);
            let long = "x".repeat(width);
            rows.rows = vec![vec![long.as_str().into(), "1".into()], vec!["short".into(), "2".into()]];
            let shown = table(false, &rows);
            let lines: Vec<&str> = shown.lines().collect();
            assert_eq!(lines, ["RAW    N", &format!("{long}  1"), "short  2"]);
            assert!(table(true, &rows).lines().all(|line| line.width() < 100));
        }
    }

    #[test]
    fn tables_of_odd_shapes_are_printed() {
        assert_eq!(table(false, &Rows::new(&[])), "\n");
        let mut rows = Rows::new(&[]);
        rows.rows = vec![vec![], vec![]];
        assert_eq!(table(false, &rows), "\n\n\n");
        let wide = vec!["c"; 5_000];
        let mut rows = Rows::new(&wide);
        rows.rows = vec![wide.iter().map(|&cell| cell.into()).collect()];
        assert_eq!(table(false, &rows).lines().count(), 2);
        // Names and cells that would move a terminal, or stand for more columns than are there.
        let mut rows = Rows::new(&["a\u{1b}[2J", "\u{202e}b"]);
        rows.rows = vec![
            vec!["x\ny\tz\u{9b}".into(), "".into()],
            vec!["1".into(), "2".into(), "3".into()],
        ];
        let shown = table(false, &rows);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\t']), "{shown:?}");
    }
}
