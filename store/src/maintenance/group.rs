//! Which data files are put together.

use std::sync::Arc;

use super::weight::Weight;
use crate::limits::MAX_FILE_ROWS;
use crate::table::DataFile;

/// Most files that are merged at once: each has a batch of rows in memory.
pub(super) const MAX_MERGED_FILES: usize = 256;

/// A file that may be put together with others.
pub(super) type Candidate = (Arc<DataFile>, Weight);

/// The first files, the oldest first, that together are no more than a new file may have. At least one, where there is any.
pub(super) fn first_group(mut candidates: Vec<Candidate>, target: u64) -> Vec<Candidate> {
    candidates.sort_by(|(a, _), (b, _)| (a.add.modification_time, &a.path).cmp(&(b.add.modification_time, &b.path)));
    let (mut bytes, mut rows) = (0u64, 0u64);
    let fits = |(number, (_, weight)): &(usize, Candidate)| {
        bytes = bytes.saturating_add(weight.bytes);
        rows = rows.saturating_add(weight.rows);
        *number == 0 || (*number < MAX_MERGED_FILES && bytes <= target && rows <= MAX_FILE_ROWS as u64)
    };
    candidates
        .into_iter()
        .enumerate()
        .take_while(fits)
        .map(|(_, candidate)| candidate)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::table::Add;

    fn candidate(path: &str, modification_time: i64, bytes: u64, rows: u64) -> Candidate {
        let add = Add {
            path: path.into(),
            partition_values: BTreeMap::new(),
            size: 1,
            modification_time,
            data_change: true,
            stats: None,
            tags: None,
            deletion_vector: None,
        };
        let file = DataFile {
            path: path.into(),
            stats: Default::default(),
            add,
        };
        (Arc::new(file), Weight { bytes, rows })
    }

    fn paths(group: &[Candidate]) -> Vec<&str> {
        group.iter().map(|(file, _)| file.path.as_str()).collect()
    }

    #[test]
    fn the_oldest_come_first_until_the_file_is_full() {
        let all = vec![
            candidate("c", 3, 40, 1),
            candidate("a", 2, 30, 1),
            candidate("b", 1, 30, 1),
            candidate("d", 3, 1, 1),
        ];
        assert_eq!(paths(&first_group(all.clone(), 100)), ["b", "a", "c"]);
        assert_eq!(paths(&first_group(all.clone(), 60)), ["b", "a"]);
        assert_eq!(
            paths(&first_group(all, 1)),
            ["b"],
            "a file that is too large is a group alone"
        );
        let rows = (MAX_FILE_ROWS / 2) as u64;
        let many = vec![
            candidate("a", 1, 1, rows),
            candidate("b", 1, 1, rows),
            candidate("c", 1, 1, 1),
        ];
        assert_eq!(paths(&first_group(many, 100)), ["a", "b"]);
        let files: Vec<Candidate> = (0..300).map(|n| candidate(&format!("{n:03}"), 1, 1, 1)).collect();
        assert_eq!(first_group(files, 1_000).len(), MAX_MERGED_FILES);
    }
}
