//! A bundle in an object store, read by parts: chunk by chunk, each fetched once and kept in memory while the bundle is
//! open, and on local disk beyond that.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_128;

use super::chunk_cache::ChunkCache;

/// Bytes of a chunk, the last of an object excepted. A request costs about what it takes to transfer so much.
const CHUNK_BYTES: u64 = 256 * 1024;

/// An object. It is read from threads that may wait.
#[derive(Debug)]
pub(crate) struct ObjectBytes {
    files: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    /// Names this object, of this content, in the cache.
    key: String,
    cache: Option<Arc<ChunkCache>>,
    runtime: Handle,
    chunks: Mutex<BTreeMap<u64, Bytes>>,
}

impl ObjectBytes {
    /// The object at `path`, of which the store says `meta`. `store` distinguishes it from those of other stores. Within a runtime.
    pub fn new(
        files: Arc<dyn ObjectStore>,
        store: &str,
        path: Path,
        meta: &ObjectMeta,
        cache: Option<Arc<ChunkCache>>,
    ) -> Self {
        // A bundle that is built anew has the name of the old one. The place that `meta` says may be that within the bucket.
        let content = format!(
            "{store}\n{path}\n{}\n{}\n{}",
            meta.size,
            meta.last_modified.timestamp_micros(),
            meta.e_tag.as_deref().unwrap_or("")
        );
        Self {
            files,
            path,
            size: meta.size,
            key: format!("{:032x}", xxh3_128(content.as_bytes())),
            cache,
            runtime: Handle::current(),
            chunks: Mutex::default(),
        }
    }

    /// Its length, in bytes.
    pub fn length(&self) -> u64 {
        self.size
    }

    /// Reads a range. Waits: not for threads that run tasks.
    ///
    /// # Errors
    /// The range is outside of the object, or a part of it cannot be fetched.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.start > range.end || range.end > self.size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bundle is cut short"));
        }
        let wanted = range.start / CHUNK_BYTES..range.end.div_ceil(CHUNK_BYTES);
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = None;
        for chunk in wanted.clone() {
            if !chunks.contains_key(&chunk) && !self.take_kept(chunk, &mut chunks) {
                missing.get_or_insert(chunk);
            } else if let Some(first) = missing.take() {
                self.fetch(first..chunk, &mut chunks)?;
            }
        }
        if let Some(first) = missing {
            self.fetch(first..wanted.end, &mut chunks)?;
        }
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        for (chunk, bytes) in chunks.range(wanted) {
            let start = chunk * CHUNK_BYTES;
            let from = range.start.saturating_sub(start) as usize;
            let to = ((range.end - start) as usize).min(bytes.len());
            out.extend_from_slice(&bytes[from..to]);
        }
        Ok(out)
    }

    /// First byte of a chunk, and of the one after it.
    fn bounds(&self, chunk: u64) -> Range<u64> {
        let start = chunk * CHUNK_BYTES;
        start..(start + CHUNK_BYTES).min(self.size)
    }

    /// Takes a chunk from the cache, if it is there.
    fn take_kept(&self, chunk: u64, chunks: &mut BTreeMap<u64, Bytes>) -> bool {
        let Range { start, end } = self.bounds(chunk);
        let cached = self.cache.as_ref();
        let found = cached.and_then(|cache| cache.get(&self.key, chunk, (end - start) as usize));
        found.map(|bytes| chunks.insert(chunk, bytes)).is_some()
    }

    /// Fetches chunks that follow one another, with one request.
    fn fetch(&self, wanted: Range<u64>, chunks: &mut BTreeMap<u64, Bytes>) -> io::Result<()> {
        let first = wanted.start * CHUNK_BYTES;
        let last = (wanted.end * CHUNK_BYTES).min(self.size);
        let bytes = self
            .runtime
            .block_on(self.files.get_range(&self.path, first..last))
            .map_err(io::Error::other)?;
        if bytes.len() as u64 != last - first {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bundle is cut short"));
        }
        for chunk in wanted {
            let Range { start, end } = self.bounds(chunk);
            let part = bytes.slice((start - first) as usize..(end - first) as usize);
            if let Some(cache) = &self.cache {
                cache.put(&self.key, chunk, &part);
            }
            chunks.insert(chunk, part);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IndexCacheConfig;
    use object_store::memory::InMemory;
    use object_store::prefix::PrefixStore;
    use proptest::prelude::*;

    fn cache(directory: &std::path::Path) -> Option<Arc<ChunkCache>> {
        Some(Arc::new(ChunkCache::new(IndexCacheConfig {
            directory: directory.to_owned(),
            limit_bytes: 64 << 20,
        })))
    }

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
    }

    fn path() -> Path {
        Path::from("events/_casebook_index/a.idx")
    }

    /// A folder of a bucket.
    fn folder() -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(InMemory::new(), "cluster-1"))
    }

    async fn put(files: &Arc<dyn ObjectStore>, bytes: &[u8]) -> ObjectMeta {
        files.put(&path(), bytes.to_vec().into()).await.unwrap();
        files.head(&path()).await.unwrap()
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn any_range_is_that_of_the_object(
            length in 0usize..1_200_000,
            ranges in proptest::collection::vec((0f64..=1.0, 0f64..=1.0), 1..12),
            cached in proptest::bool::ANY,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let runtime = runtime();
            let files = folder();
            let bytes = content(length);
            let meta = runtime.block_on(put(&files, &bytes));
            let _guard = runtime.enter();
            let object = ObjectBytes::new(files, "s", path(), &meta, cached.then(|| cache(dir.path())).flatten());
            prop_assert_eq!(object.length(), length as u64);
            let mut read = Vec::new();
            for (a, b) in ranges {
                let (a, b) = ((a * length as f64) as usize, (b * length as f64) as usize);
                let range = a.min(b)..a.max(b);
                prop_assert_eq!(&object.read(range.start as u64..range.end as u64).unwrap(), &bytes[range.clone()]);
                read.push(range);
            }
            prop_assert!(object.read(0..length as u64 + 1).is_err());
            // What was read is there without the object, if it is kept.
            if cached {
                let again = ObjectBytes::new(folder(), "s", path(), &meta, cache(dir.path()));
                for range in read {
                    prop_assert_eq!(&again.read(range.start as u64..range.end as u64).unwrap(), &bytes[range]);
                }
            }
        }
    }

    #[test]
    fn neighbors_are_fetched_at_once_and_a_changed_object_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let files = folder();
        let bytes = content(CHUNK_BYTES as usize * 3 + 5);
        let meta = runtime.block_on(put(&files, &bytes));
        let _guard = runtime.enter();
        let object = ObjectBytes::new(files.clone(), "s", path(), &meta, cache(dir.path()));
        // The last byte of one chunk and the first of the next: two chunks, the third and the fourth stay where they are.
        assert_eq!(object.read(CHUNK_BYTES - 1..CHUNK_BYTES + 1).unwrap().len(), 2);
        let kept = || std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(kept(), 2);
        object.read(0..object.length()).unwrap();
        assert_eq!(kept(), 4);

        let changed: Vec<u8> = bytes.iter().map(|byte| byte ^ 0xff).collect();
        let meta = runtime.block_on(put(&files, &changed));
        let object = ObjectBytes::new(files.clone(), "s", path(), &meta, cache(dir.path()));
        assert_eq!(object.read(10..20).unwrap(), changed[10..20]);
        // The same place in another store is another object, too.
        let other = ObjectBytes::new(folder(), "t", path(), &meta, cache(dir.path()));
        assert!(other.read(10..20).is_err());
    }
}
