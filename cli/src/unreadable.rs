//! Data files that an answer lacks: named once each, and remembered for the exit code.
//!
//! A command goes on with the files that it can read, as `grep` does, and ends with [`crate::exit_code::FAILED`].

use std::collections::BTreeSet;
use std::sync::Mutex;

use casebook_store::UnreadableFile;

use crate::output::{escape, notice};

/// Most files that are named.
const MAX_NAMED: usize = 5;

/// The files that could not be read so far.
static FILES: Mutex<BTreeSet<UnreadableFile>> = Mutex::new(BTreeSet::new());

/// Says on stderr which files could not be read, those that were named before left out.
pub fn report(files: &[UnreadableFile]) {
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
