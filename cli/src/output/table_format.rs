//! Aligned columns for people.

use std::io::{IsTerminal as _, Write};

use anyhow::Result;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Rows, escape};

/// Widest cell on a terminal; elsewhere nothing is cut.
const MAX_CELL_COLUMNS: usize = 60;

pub fn write(rows: &Rows, with_header: bool, out: &mut impl Write) -> Result<()> {
    let terminal = std::io::stdout().is_terminal();
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
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(n, name)| width(n).max(name.width()))
        .collect();
    if with_header {
        let header: Vec<String> = rows.columns.iter().map(|name| name.to_uppercase()).collect();
        if terminal {
            write!(out, "\x1b[1m")?;
        }
        write_row(&header, &widths, out)?;
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
            write!(out, "{cell}{:pad$}  ", "", pad = width.saturating_sub(cell.width()))?;
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
