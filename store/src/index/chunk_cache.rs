//! A directory with chunks of objects that were fetched, bounded in size, shared by every process that is configured with it.
//!
//! A chunk is a file: its bytes, and after them their XXH3, so that a chunk that was cut or changed is fetched anew. What
//! a chunk is of is in its name. The chunks that were written longest ago make room for new ones. Whatever fails here only
//! costs a request: nothing that is asked for depends on the cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::IndexCacheConfig;

/// The end of a chunk's name: no other file is ever taken away.
const SUFFIX: &str = ".cbchunk";

/// Bytes of a chunk's checksum.
const SUM_BYTES: usize = 8;

/// The part of the bound, in hundredths, that is left when room is made.
const LEFT_PERCENT: u64 = 75;

/// The cache.
#[derive(Debug)]
pub(crate) struct ChunkCache {
    directory: PathBuf,
    limit_bytes: u64,
    /// Bytes that are in the directory; unknown before the first chunk is written. Other processes write, too: what they
    /// do is seen whenever room is made.
    held: Mutex<Option<u64>>,
}

impl ChunkCache {
    pub fn new(config: IndexCacheConfig) -> Self {
        Self {
            directory: config.directory,
            limit_bytes: config.limit_bytes,
            held: Mutex::new(None),
        }
    }

    /// A chunk of an object, where it is here, whole.
    pub fn get(&self, object: &str, chunk: u64, length: usize) -> Option<Bytes> {
        let mut bytes = fs::read(self.path(object, chunk)).ok()?;
        let sum = bytes.split_off(bytes.len().checked_sub(SUM_BYTES)?);
        (bytes.len() == length && xxh3_64(&bytes).to_le_bytes() == *sum).then(|| bytes.into())
    }

    /// Keeps a chunk of an object.
    pub fn put(&self, object: &str, chunk: u64, bytes: &[u8]) {
        if let Err(error) = self.try_put(object, chunk, bytes) {
            tracing::debug!(directory = %self.directory.display(), %error, "a part of an index was not kept");
        }
    }

    fn try_put(&self, object: &str, chunk: u64, bytes: &[u8]) -> io::Result<()> {
        let size = (bytes.len() + SUM_BYTES) as u64;
        if size > self.limit_bytes {
            return Ok(());
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now_held = match *held {
            Some(bytes) => bytes,
            None => {
                create_private(&self.directory)?;
                self.chunks()?.iter().map(|chunk| chunk.bytes).sum()
            }
        };
        if now_held + size > self.limit_bytes {
            now_held = self.make_room(size)?;
        }
        *held = Some(now_held + size);
        drop(held);
        // No reader sees a chunk before it is whole.
        let path = self.path(object, chunk);
        let unfinished = self.directory.join(format!("{}{SUFFIX}", uuid::Uuid::new_v4()));
        let mut whole = Vec::with_capacity(bytes.len() + SUM_BYTES);
        whole.extend_from_slice(bytes);
        whole.extend_from_slice(&xxh3_64(bytes).to_le_bytes());
        fs::write(&unfinished, whole)?;
        fs::rename(&unfinished, path)
    }

    fn path(&self, object: &str, chunk: u64) -> PathBuf {
        self.directory.join(format!("{object}-{chunk}{SUFFIX}"))
    }

    fn chunks(&self) -> io::Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            // Another process may have taken it away since.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && entry.file_name().to_string_lossy().ends_with(SUFFIX) {
                chunks.push(Chunk {
                    written: metadata.modified()?,
                    bytes: metadata.len(),
                    path: entry.path(),
                });
            }
        }
        Ok(chunks)
    }

    /// Takes the oldest chunks away, until `size` bytes fit and there is room for more. Returns what is left.
    fn make_room(&self, size: u64) -> io::Result<u64> {
        let mut chunks = self.chunks()?;
        chunks.sort_unstable_by_key(|chunk| chunk.written);
        let mut held: u64 = chunks.iter().map(|chunk| chunk.bytes).sum();
        let wanted = (self.limit_bytes / 100 * LEFT_PERCENT).min(self.limit_bytes - size);
        for chunk in chunks {
            if held <= wanted {
                break;
            }
            match fs::remove_file(&chunk.path) {
                Ok(()) => held -= chunk.bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => held -= chunk.bytes,
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }
}

/// A chunk in the directory.
struct Chunk {
    written: SystemTime,
    bytes: u64,
    path: PathBuf,
}

/// Makes a directory that nobody else may read: words of logs are in it.
fn create_private(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(directory: &Path, limit_bytes: u64) -> ChunkCache {
        ChunkCache::new(IndexCacheConfig {
            directory: directory.join("cache"),
            limit_bytes,
        })
    }

    #[test]
    fn a_chunk_comes_back_in_every_process_and_a_damaged_one_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let written = cache(dir.path(), 1 << 20);
        assert_eq!(written.get("a", 0, 3), None);
        written.put("a", 0, b"abc");
        written.put("a", 7, b"");
        let read = cache(dir.path(), 1 << 20);
        assert_eq!(read.get("a", 0, 3).unwrap(), "abc");
        assert_eq!(read.get("a", 7, 0).unwrap(), "");
        assert_eq!(read.get("a", 0, 2), None, "another length");
        assert_eq!(read.get("b", 0, 3), None, "another object");
        let path = dir.path().join("cache/a-0.cbchunk");
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(read.get("a", 0, 3), None, "cut at {length}");
            let mut changed = whole.clone();
            changed[length] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(read.get("a", 0, 3), None, "byte {length}");
        }
        read.put("a", 0, b"abc");
        assert_eq!(written.get("a", 0, 3).unwrap(), "abc");
    }

    #[test]
    fn the_bound_holds_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        let first = cache(dir.path(), 10_000);
        let second = cache(dir.path(), 10_000);
        let size = || -> u64 {
            let entries = std::fs::read_dir(dir.path().join("cache")).unwrap();
            entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
        };
        first.put("a", 0, &[1; 100]);
        let other = dir.path().join("cache/notes.txt");
        std::fs::write(&other, b"mine").unwrap();
        for n in 0..100 {
            first.put("a", n, &[1; 990]);
            assert!(size() <= 10_004, "{n}: {}", size());
        }
        // What another process has written counts once room is made.
        for n in 0..100 {
            second.put("b", n, &[1; 990]);
        }
        assert!(size() <= 10_004, "{}", size());
        assert!(second.get("b", 99, 990).is_some(), "the last one is here");
        assert_eq!(std::fs::read(other).unwrap(), b"mine");
        // What is larger than the whole is not kept.
        first.put("c", 0, &[1; 10_000]);
        assert_eq!(first.get("c", 0, 10_000), None);
    }

    #[test]
    fn a_directory_that_cannot_be_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cache"), b"a file").unwrap();
        let cache = cache(dir.path(), 1 << 20);
        cache.put("a", 0, b"abc");
        assert_eq!(cache.get("a", 0, 3), None);
    }
}
