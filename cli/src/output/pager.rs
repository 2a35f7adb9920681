//! What is longer than a terminal is shown by a pager, as git does it: `CASEBOOK_PAGER`, else `PAGER`, else `less -FRSX`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::Result;

/// Text of fewer lines is never given to a pager: no terminal is that low.
const FEW_LINES: usize = 20;

/// Shows a text that is to be escaped already.
pub fn show(text: &[u8]) -> Result<()> {
    if io::stdout().is_terminal() && text.iter().filter(|&&byte| byte == b'\n').count() > FEW_LINES && paged(text) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(())
}

/// Ctrl-C goes to both: it is the pager's to say what it means. Were this process to end first, the two would go on sharing
/// the terminal with the shell.
fn keep_interrupts_for_the_pager() {
    #[cfg(unix)]
    if tokio::runtime::Handle::try_current().is_ok() {
        use tokio::signal::unix::{SignalKind, signal};
        // That it is listened for is enough.
        drop(signal(SignalKind::interrupt()));
    }
}

/// Whether a pager has shown it.
fn paged(text: &[u8]) -> bool {
    let named = ["CASEBOOK_PAGER", "PAGER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let command = named.unwrap_or_else(|| "less -FRSX".to_owned());
    let mut words = command.split_whitespace();
    let Some(program) = words.next().filter(|program| *program != "cat") else {
        return false;
    };
    let Ok(mut pager) = Command::new(program).args(words).stdin(Stdio::piped()).spawn() else {
        return false;
    };
    keep_interrupts_for_the_pager();
    if let Some(mut input) = pager.stdin.take() {
        // A pager that is left before the end closes its side: nobody wants the rest.
        let _ = input.write_all(text);
    }
    pager.wait().is_ok()
}
