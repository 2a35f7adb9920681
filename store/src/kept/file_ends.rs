//! The ends of files that were read: a repair asks the same files again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::limits::MAX_KEPT_ENDS_BYTES;

/// What files say of themselves at their ends, by path. A file never changes, and no two have one path.
#[derive(Debug, Default)]
pub(crate) struct FileEnds {
    /// Held for a look or an exchange, and never across a read.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_path: HashMap<String, ArrowReaderMetadata>,
    /// The paths, the one that came first at the front: it makes room for others.
    order: VecDeque<(String, usize)>,
    bytes: usize,
}

impl FileEnds {
    pub fn get(&self, path: &str) -> Option<ArrowReaderMetadata> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_path
            .get(path)
            .cloned()
    }

    pub fn put(&self, path: &str, end: &ArrowReaderMetadata) {
        let bytes = end.metadata().memory_size();
        if bytes > MAX_KEPT_ENDS_BYTES {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.by_path.insert(path.to_owned(), end.clone()).is_some() {
            return;
        }
        state.order.push_back((path.to_owned(), bytes));
        state.bytes += bytes;
        while state.bytes > MAX_KEPT_ENDS_BYTES
            && let Some((oldest, bytes)) = state.order.pop_front()
        {
            state.by_path.remove(&oldest);
            state.bytes -= bytes;
        }
    }
}
