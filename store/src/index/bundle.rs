//! The index bundle: one file that holds the few files of one tantivy segment.
//!
//! ```text
//! bytes of each file, one after another │ directory (JSON) │ its length u32 │ its checksum u64 │ version u32 │ "CBIX"
//! ```
//!
//! Numbers are little-endian, checksums are XXH3. The bytes before the directory have one checksum for each block of
//! [`BLOCK_BYTES`], in the directory. A read verifies the blocks that it touches: opening a bundle and asking for one word
//! reads little of it, and a changed byte is never taken for an answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::object::ObjectBytes;
use crate::limits::MAX_BUNDLE_BYTES;

const MAGIC: &[u8; 4] = b"CBIX";

/// The version of the form above, of the division into words and of the terms. A bundle of another version is not used.
pub(crate) const BUNDLE_VERSION: u32 = 3;

/// Bytes that have one checksum.
const BLOCK_BYTES: u64 = 32 * 1024;

/// Bytes that are read at once where all are verified: a multiple of [`BLOCK_BYTES`].
const VERIFIED_AT_ONCE: u64 = 64 * BLOCK_BYTES;

/// Directory length, checksum of the directory, version, magic.
const FOOTER_BYTES: u64 = 4 + 8 + 4 + 4;

/// Largest directory, in bytes: a few files, a hundred columns, the key words and the checksums.
const MAX_DIRECTORY_BYTES: u64 = 16 << 20;

/// What a bundle says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BundleDirectory {
    /// Rows of the data file, which are the documents of the segment.
    pub rows: u32,
    /// The indexed columns: a column's position is the code that its terms begin with.
    pub columns: Vec<String>,
    /// Words that occur as JSON keys, and as such are not in the index.
    pub key_words: Vec<String>,
    /// Where the files of the segment are: first byte and length.
    pub files: BTreeMap<String, (u64, u64)>,
    /// The checksum of each block.
    pub blocks: Vec<u64>,
}

/// Packs the files of a segment.
pub(crate) fn pack(mut directory: BundleDirectory, files: Vec<(String, Vec<u8>)>) -> io::Result<Vec<u8>> {
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut out = Vec::with_capacity(total + (64 << 10));
    for (name, bytes) in files {
        directory.files.insert(name, (out.len() as u64, bytes.len() as u64));
        out.extend_from_slice(&bytes);
    }
    directory.blocks = out.chunks(BLOCK_BYTES as usize).map(xxh3_64).collect();
    let text = serde_json::to_vec(&directory)?;
    let length = u32::try_from(text.len()).map_err(|_| corrupt("the directory is too large"))?;
    out.extend_from_slice(&text);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&xxh3_64(&text).to_le_bytes());
    out.extend_from_slice(&BUNDLE_VERSION.to_le_bytes());
    out.extend_from_slice(MAGIC);
    Ok(out)
}

fn corrupt(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Where a bundle's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum BundleBytes {
    /// A local file, read in place.
    File(Arc<File>),
    /// An object that was fetched whole.
    Memory(bytes::Bytes),
    /// An object that is fetched by parts.
    Object(Arc<ObjectBytes>),
}

impl BundleBytes {
    /// Opens a local file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::File(Arc::new(File::open(path)?)))
    }

    fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
            Self::Object(object) => Ok(object.length()),
        }
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| corrupt("range too large"))?;
        match self {
            Self::File(file) => {
                let mut bytes = vec![0; length];
                read_exact_at(file, &mut bytes, range.start)?;
                Ok(bytes)
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(range.start).map_err(|_| corrupt("offset too large"))?;
                let end = start.checked_add(length).ok_or_else(|| corrupt("offset too large"))?;
                bytes
                    .get(start..end)
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| corrupt("the bundle is cut short"))
            }
            Self::Object(object) => object.read(range),
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// An opened bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    bytes: BundleBytes,
    /// Length of the blocks together.
    body: u64,
    pub directory: BundleDirectory,
}

impl Bundle {
    /// Reads and verifies a bundle's end.
    ///
    /// # Errors
    /// It is cut short, changed, or of another version.
    pub fn open(bytes: BundleBytes) -> io::Result<Self> {
        let length = bytes.length()?;
        if length > MAX_BUNDLE_BYTES {
            return Err(corrupt(format!(
                "the bundle has {length} bytes, more than {MAX_BUNDLE_BYTES}"
            )));
        }
        let end = length
            .checked_sub(FOOTER_BYTES)
            .ok_or_else(|| corrupt("too short for a bundle"))?;
        let footer = bytes.read(end..length)?;
        let number = |range: Range<usize>| {
            footer[range]
                .iter()
                .rev()
                .fold(0u64, |n, byte| n << 8 | u64::from(*byte))
        };
        if &footer[16..] != MAGIC {
            return Err(corrupt("no bundle: the magic number is missing"));
        }
        if number(12..16) != u64::from(BUNDLE_VERSION) {
            return Err(corrupt("a bundle of another version"));
        }
        let size = number(0..4);
        if size > MAX_DIRECTORY_BYTES || size > end {
            return Err(corrupt("the directory is larger than the bundle"));
        }
        let body = end - size;
        let text = bytes.read(body..end)?;
        if xxh3_64(&text) != number(4..12) {
            return Err(corrupt("the directory does not match its checksum"));
        }
        let directory: BundleDirectory = serde_json::from_slice(&text)?;
        if directory
            .files
            .values()
            .any(|(offset, length)| offset.checked_add(*length).is_none_or(|end| end > body))
        {
            return Err(corrupt("a file is outside of the bundle"));
        }
        if directory.blocks.len() as u64 != body.div_ceil(BLOCK_BYTES) {
            return Err(corrupt("the checksums do not cover the bundle"));
        }
        Ok(Self { bytes, body, directory })
    }

    /// First byte and length of a file.
    pub fn file(&self, name: &str) -> Option<(u64, u64)> {
        self.directory.files.get(name).copied()
    }

    /// Reads the whole body, and verifies every block of it.
    ///
    /// # Errors
    /// As [`Bundle::read`].
    pub fn verify(&self) -> io::Result<()> {
        for start in (0..self.body).step_by(VERIFIED_AT_ONCE as usize) {
            self.read(start..self.body.min(start + VERIFIED_AT_ONCE))?;
        }
        Ok(())
    }

    /// Reads a range of the body, and verifies every block that it touches.
    ///
    /// # Errors
    /// The range is outside of the body, a block does not match its checksum, or the file cannot be read.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.start > range.end || range.end > self.body {
            return Err(corrupt("a range outside of the bundle"));
        }
        let first = range.start / BLOCK_BYTES;
        let start = first * BLOCK_BYTES;
        let end = range.end.next_multiple_of(BLOCK_BYTES).min(self.body);
        let mut bytes = self.bytes.read(start..end)?;
        for (block, sum) in bytes
            .chunks(BLOCK_BYTES as usize)
            .zip(self.directory.blocks.iter().skip(first as usize))
        {
            if xxh3_64(block) != *sum {
                return Err(corrupt(format!(
                    "a block near byte {start} does not match its checksum"
                )));
            }
        }
        bytes.truncate((range.end - start) as usize);
        bytes.drain(..(range.start - start) as usize);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Vec<u8> {
        let files = vec![
            ("a".to_owned(), vec![7; 100_000]),
            ("b".to_owned(), (0..=255).collect()),
        ];
        pack(
            BundleDirectory {
                rows: 3,
                ..BundleDirectory::default()
            },
            files,
        )
        .unwrap()
    }

    #[test]
    fn files_come_back() {
        let bundle = Bundle::open(BundleBytes::Memory(bundle().into())).unwrap();
        let (offset, length) = bundle.file("b").unwrap();
        assert_eq!(bundle.read(offset + 3..offset + 5).unwrap(), [3, 4]);
        assert_eq!(bundle.read(offset..offset + length).unwrap().len(), 256);
        assert_eq!(bundle.file("c"), None);
        assert!(bundle.read(0..200_000).is_err());
    }

    #[test]
    fn any_changed_byte_and_any_cut_is_noticed() {
        let whole = bundle();
        let read_all = |bytes: Vec<u8>| {
            let bundle = Bundle::open(BundleBytes::Memory(bytes.into()))?;
            bundle.read(0..bundle.body)
        };
        assert!(read_all(whole.clone()).is_ok());
        for at in (0..whole.len()).step_by(997).chain(whole.len() - 40..whole.len()) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read_all(changed).is_err(), "byte {at}");
            assert!(read_all(whole[..at].to_vec()).is_err(), "cut at {at}");
        }
    }
}
