//! How a search ended, whatever it printed.

use casebook_investigate::coverage::Coverage;
use casebook_store::FilesRead;

/// What was found, and what it took.
pub struct Outcome {
    /// How many events match.
    pub matched: u64,
    /// What was read for it.
    pub files: FilesRead,
    /// What the answer could have found.
    pub coverage: Coverage,
}
