//! Data files that an answer lacks: told once each, and remembered for the exit code.
//!
//! A command goes on with the files that it can read, as `grep` does, and ends with [`crate::exit_code::FAILED`].

use std::collections::BTreeSet;
use std::sync::Mutex;

use anyhow::Result;
use casebook_event::Event;
use casebook_store::{SearchRequest, Store, UnreadableFile};

use crate::output::{escape, notice};

/// Most files that are named.
const MAX_NAMED: usize = 5;

/// The files that could not be read so far.
static FILES: Mutex<BTreeSet<UnreadableFile>> = Mutex::new(BTreeSet::new());

/// Says on stderr which files could not be read, those that were said before left out.
pub fn tell(files: &[UnreadableFile]) {
    let mut known = FILES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for file in files {
        if !known.insert(file.clone()) {
            continue;
        }
        match known.len() {
            ..=MAX_NAMED => notice!("casebook: {}", escape(&file.to_string())),
            n if n == MAX_NAMED + 1 => notice!("casebook: further files cannot be read, either"),
            _ => {}
        }
    }
}

/// How many files could not be read.
pub fn count() -> usize {
    FILES.lock().unwrap_or_else(std::sync::PoisonError::into_inner).len()
}

/// The events that a search finds in the files that can be read.
pub async fn search(store: &Store, request: SearchRequest) -> Result<Vec<Event>> {
    let answer = store.search(request).await?;
    tell(&answer.unreadable);
    Ok(answer.rows)
}
