//! Failures that the tests of delivery ask for: a worker that dies or fails at a place of their choice.
//!
//! `CASEBOOK_FAILPOINTS` holds `place=action` pairs, separated by `;`. The action `kill@N` is a SIGKILL the Nth time that the
//! place is come by; all others are those of the `fail` crate, as in `store.file=10%return(disk full)->off`. Without the
//! variable nothing is armed, and a place costs a look into an empty table. The places are in docs/delivery.md.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow};

/// Arms what the environment asks for.
///
/// # Errors
/// An action that is not understood.
pub fn arm() -> Result<()> {
    let Ok(text) = std::env::var("CASEBOOK_FAILPOINTS") else {
        return Ok(());
    };
    for pair in text.split(';').filter(|pair| !pair.is_empty()) {
        let (place, action) = pair
            .split_once('=')
            .with_context(|| format!("CASEBOOK_FAILPOINTS: `{pair}` is not of the form place=action"))?;
        match action.strip_prefix("kill@") {
            Some(nth) => {
                let nth: u64 = nth.parse().with_context(|| format!("CASEBOOK_FAILPOINTS: {pair}"))?;
                let (passed, name) = (AtomicU64::new(0), place.to_owned());
                fail::cfg_callback(place, move || {
                    if passed.fetch_add(1, Ordering::Relaxed) + 1 == nth {
                        kill_this_process(&name);
                    }
                })
            }
            None => fail::cfg(place, action),
        }
        .map_err(|error| anyhow!("CASEBOOK_FAILPOINTS: {pair}: {error}"))?;
    }
    tracing::warn!(failpoints = text, "failures are armed");
    Ok(())
}

/// SIGKILL, as the kernel's out-of-memory killer would send it: nothing is tidied up.
fn kill_this_process(place: &str) -> ! {
    tracing::warn!(place, "killed by a failpoint");
    let id = std::process::id().to_string();
    let _ = std::process::Command::new("kill").args(["-KILL", &id]).status();
    loop {
        std::thread::park();
    }
}
