//! The proof that a store is whole: everything that its log names is read, and compared with what the log says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index_check::Fault;
use super::{CareProgress, OnProgress, date_of};
use crate::index::bundle_path;
use crate::table::DataFile;
use crate::{Store, StoreError, TableName};

/// Something that is wrong with a file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The table.
    pub table: TableName,
    /// The file, relative to the store.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// What to do about a data file that is gone or changed.
pub(super) const RESTORE: &str =
    "restore the file from a backup; its rows are nowhere else, unless Kafka still has them";

/// What to do about an index.
const REBUILD: &str = "casebook store rebuild-index";

impl Problem {
    pub(super) fn new(table: TableName, file: &DataFile, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            table,
            path: format!("{}/{}", table.name(), file.path),
            problem: problem.into(),
            remedy,
        }
    }

    pub(super) fn unreadable(table: TableName, file: &DataFile, error: &StoreError) -> Self {
        let problem = match error {
            StoreError::File { action, source, .. } => format!("cannot {action} it: {source}"),
            other => other.to_string(),
        };
        Self::new(table, file, problem, RESTORE)
    }
}

/// What a verification has read of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Data files that were read whole.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Indexes that were read whole.
    pub indexes: u64,
    /// Rows that were asked of an index.
    pub sampled_rows: u64,
    /// How many problems there are.
    pub problems: u64,
}

impl Store {
    /// Reads every file of a table and proves that it has the size, the rows, the times and the texts that the log says, that
    /// rows are in order and none is there twice, and that each index is whole, belongs to its file and finds a sample of its
    /// rows. `on_problem` is told of everything that is wrong, as soon as it is found.
    ///
    /// A file that others take out of the table meanwhile is no problem.
    ///
    /// # Errors
    /// The log cannot be read, or the process shuts down. What is wrong with a file is no error.
    pub async fn verify(
        &self,
        table: TableName,
        on_problem: &mut (dyn FnMut(Problem) + Send),
        on_progress: OnProgress<'_>,
    ) -> Result<Verified, StoreError> {
        let snapshot = self.table(table).snapshot().await?;
        let mut verified = Verified::default();
        let mut progress = CareProgress {
            done_bytes: 0,
            total_bytes: snapshot.files.values().map(|file| file.add.size.unsigned_abs()).sum(),
        };
        let mut dates: BTreeMap<&str, Vec<Arc<DataFile>>> = BTreeMap::new();
        for file in snapshot.files.values() {
            dates.entry(date_of(table, file)).or_default().push(file.clone());
        }
        for files in dates.into_values() {
            // Files that can be read whole.
            let mut sound = Vec::new();
            let mut problems = Vec::new();
            for file in files {
                let found = self.verify_file(table, &file).await?;
                let mut of_file = found.problems;
                if found.read_whole {
                    verified.files += 1;
                    verified.rows += found.rows;
                    verified.bytes += file.add.size.unsigned_abs();
                    if table == TableName::Events && self.config.write_index {
                        verified.sampled_rows += found.samples.len() as u64;
                        match self.check_index(&file, Some(found.rows), found.samples).await? {
                            Ok(()) => verified.indexes += 1,
                            Err(fault) => of_file.push(index_problem(&file, &fault)),
                        }
                    }
                    sound.push(file.clone());
                }
                // The table is looked at again only where something is wrong.
                if !of_file.is_empty() && self.table(table).snapshot().await?.files.contains_key(&file.path) {
                    problems.append(&mut of_file);
                }
                progress.done_bytes += file.add.size.unsigned_abs();
                on_progress(progress);
            }
            if table == TableName::Events {
                problems.append(&mut self.find_repeated(&sound).await?);
            }
            verified.problems += problems.len() as u64;
            problems.into_iter().for_each(&mut *on_problem);
        }
        Ok(verified)
    }
}

fn index_problem(file: &DataFile, fault: &Fault) -> Problem {
    Problem {
        table: TableName::Events,
        path: bundle_path(&file.path),
        problem: fault.to_string(),
        remedy: REBUILD,
    }
}
