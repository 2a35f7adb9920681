//! Why a rule matches or does not, as an indented list: `+` for what holds, `-` for what does not, and what was seen.

use std::io::Write;

use anyhow::Result;
use casebook_correlate::Explained;

use super::escaping::escape;

/// Of more alternatives than this, only those that hold are printed, and how many others there are.
const MAX_ALTERNATIVES: usize = 12;

/// Writes the parts of an explanation, each level further in by two columns.
pub fn write(explained: &Explained, depth: usize, out: &mut impl Write) -> Result<()> {
    let many = explained.parts.len() > MAX_ALTERNATIVES;
    let mut left_out = 0;
    for part in &explained.parts {
        if many && !part.holds && part.parts.is_empty() {
            left_out += 1;
            continue;
        }
        let indent = "  ".repeat(depth);
        let sign = if part.holds { '+' } else { '-' };
        write!(out, "{indent}{sign} {}", escape(&part.text))?;
        match part.seen.as_deref() {
            None => {}
            Some([]) => write!(out, "   <- absent")?,
            Some(seen) => {
                let seen: Vec<String> = seen.iter().map(|value| format!("{value:?}")).collect();
                write!(out, "   <- {}", escape(&seen.join(", ")))?;
            }
        }
        writeln!(out)?;
        write(part, depth + 1, out)?;
    }
    if left_out > 0 {
        writeln!(out, "{}  and {left_out} that do not hold", "  ".repeat(depth))?;
    }
    Ok(())
}
