//! A bundle as a tantivy directory that can only be read.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};

use super::bundle::Bundle;

/// A bundle as a directory.
#[derive(Debug, Clone)]
pub(super) struct BundleDirectoryReader(pub Arc<Bundle>);

/// One file of a bundle.
struct BundleFile {
    bundle: Arc<Bundle>,
    offset: u64,
    length: usize,
}

impl fmt::Debug for BundleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleFile({}..+{})", self.offset, self.length)
    }
}

impl HasLen for BundleFile {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for BundleFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a range outside of the file",
            ));
        }
        let bytes = self
            .bundle
            .read(self.offset + range.start as u64..self.offset + range.end as u64)?;
        Ok(OwnedBytes::new(bytes))
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "an index bundle is only read")
}

impl Directory for BundleDirectoryReader {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let name = path.to_string_lossy();
        let Some((offset, length)) = self.0.file(&name) else {
            return Err(OpenReadError::FileDoesNotExist(path.to_owned()));
        };
        let length = usize::try_from(length)
            .map_err(|_| OpenReadError::wrap_io_error(io::Error::other("file too large"), path.to_owned()))?;
        Ok(Arc::new(BundleFile {
            bundle: self.0.clone(),
            offset,
            length,
        }))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.0.file(&path.to_string_lossy()).is_some())
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        let file = self.get_file_handle(path)?;
        let bytes = file
            .read_bytes(0..file.len())
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(bytes.as_slice().to_vec())
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError {
            io_error: Arc::new(read_only()),
            filepath: path.to_owned(),
        })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), PathBuf::from(path)))
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        // Nothing changes a bundle, so there is nothing to lock out.
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
