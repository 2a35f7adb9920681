//! Standard output for lines of text or JSON.

use std::io::{self, IsTerminal as _, Write};

use anyhow::Result;

use super::escaping::escape_lines;

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

/// Writes bytes that no terminal should be given; whether they were, or a terminal would have taken them.
pub fn write_binary(bytes: &[u8]) -> Result<bool> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        return Ok(false);
    }
    out.write_all(bytes)?;
    out.flush()?;
    Ok(true)
}
