//! The proof that a store is whole: everything that its log names is read, and compared with what the log says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::index_check::{IndexFault, check_index};
use super::problem::Problem;
use super::progress::{MaintenanceProgress, OnProgress};
use super::unique::find_repeated;
use super::verify_file::verify_file;
use crate::index::bundle_path;
use crate::table::DataFile;
use crate::tables::Tables;
use crate::{StoreError, TableName};

/// What to do about an index.
const REBUILD: &str = "casebook store rebuild-index";

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

/// Reads every file of a table and proves that it has the size, the rows, the times, the texts and the numbers of dead letters
/// that the log says, that rows are in order and none is there twice, and that each index is whole, belongs to its file and finds
/// a sample of its rows. `on_problem` is called with everything that is wrong, as soon as it is found.
///
/// A file that others take out of the table meanwhile is no problem.
///
/// # Errors
/// The log cannot be read, or the process shuts down. What is wrong with a file is no error.
pub(crate) async fn verify(
    tables: &Tables,
    table: TableName,
    on_problem: &mut (dyn FnMut(Problem) + Send),
    on_progress: OnProgress<'_>,
) -> Result<Verified, StoreError> {
    let snapshot = tables.table(table).snapshot().await?;
    let mut verified = Verified::default();
    let mut progress = MaintenanceProgress {
        done_bytes: 0,
        total_bytes: snapshot.files.values().map(|file| file.bytes()).sum(),
    };
    let mut dates: BTreeMap<&str, Vec<Arc<DataFile>>> = BTreeMap::new();
    for file in snapshot.files.values() {
        dates.entry(file.date(table)).or_default().push(file.clone());
    }
    for files in dates.into_values() {
        // Files that can be read whole.
        let mut sound = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            let found = verify_file(tables, table, &file).await?;
            let mut of_file = found.problems;
            if found.read_whole {
                verified.files += 1;
                verified.rows += found.rows;
                verified.bytes += file.bytes();
                if table == TableName::Events && tables.config.write_index {
                    verified.sampled_rows += found.samples.len() as u64;
                    match check_index(tables, &file, Some(found.rows), found.samples).await? {
                        Ok(()) => verified.indexes += 1,
                        Err(fault) => of_file.push(index_problem(&file, &fault)),
                    }
                }
                sound.push(file.clone());
            }
            // The table is read again only where something is wrong.
            if !of_file.is_empty() && tables.table(table).snapshot().await?.files.contains_key(&file.path) {
                problems.append(&mut of_file);
            }
            progress.done_bytes += file.bytes();
            on_progress(progress);
        }
        if table == TableName::Events {
            problems.append(&mut find_repeated(tables, &sound).await?);
        }
        verified.problems += problems.len() as u64;
        problems.into_iter().for_each(&mut *on_problem);
    }
    Ok(verified)
}

fn index_problem(file: &DataFile, fault: &IndexFault) -> Problem {
    Problem {
        table: TableName::Events,
        path: bundle_path(&file.path),
        problem: fault.to_string(),
        remedy: REBUILD,
    }
}
