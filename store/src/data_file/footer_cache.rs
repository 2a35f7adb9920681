//! The footers of files that were read, with their bloom filters: a repair asks the same files again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::bloom_filter::Sbbf;

use crate::limits::MAX_FOOTER_CACHE_BYTES;

/// A column of a row group, by their numbers: the group, then the column.
pub(crate) type ColumnChunk = (usize, usize);

/// Footers by path. A file never changes, and no two have one path.
#[derive(Debug, Default)]
pub(crate) struct FooterCache {
    /// Held for a lookup or an exchange, and never across a read.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_path: HashMap<String, Footer>,
    /// The paths, the one that came first at the front: it makes room for others.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug)]
struct Footer {
    metadata: ArrowReaderMetadata,
    filters: HashMap<ColumnChunk, Arc<Sbbf>>,
    bytes: usize,
}

impl FooterCache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The footer of a file, if it is known.
    pub fn get(&self, path: &str) -> Option<ArrowReaderMetadata> {
        Some(self.state().by_path.get(path)?.metadata.clone())
    }

    /// Remembers the footer of a file.
    pub fn put(&self, path: &str, metadata: &ArrowReaderMetadata) {
        let bytes = metadata.metadata().memory_size() + path.len() * 2;
        let mut state = self.state();
        if bytes > MAX_FOOTER_CACHE_BYTES || state.by_path.contains_key(path) {
            return;
        }
        let footer = Footer {
            metadata: metadata.clone(),
            filters: HashMap::new(),
            bytes,
        };
        state.by_path.insert(path.to_owned(), footer);
        state.order.push_back(path.to_owned());
        state.bytes += bytes;
        state.make_room();
    }

    /// A bloom filter of a file, if it is known.
    pub fn filter(&self, path: &str, chunk: ColumnChunk) -> Option<Arc<Sbbf>> {
        self.state().by_path.get(path)?.filters.get(&chunk).cloned()
    }

    /// Remembers a bloom filter of a file, of so many bytes, as long as the file's footer is remembered.
    pub fn put_filter(&self, path: &str, chunk: ColumnChunk, filter: &Arc<Sbbf>, bytes: usize) {
        let mut state = self.state();
        let Some(footer) = state.by_path.get_mut(path) else {
            return;
        };
        if footer.filters.insert(chunk, filter.clone()).is_none() {
            footer.bytes += bytes;
            state.bytes += bytes;
            state.make_room();
        }
    }
}

impl State {
    fn make_room(&mut self) {
        while self.bytes > MAX_FOOTER_CACHE_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.by_path.remove(&oldest);
            self.bytes -= gone.map_or(0, |footer| footer.bytes);
        }
    }
}
