//! Files that say what is to be done: configurations, rules, tokens, saved queries. Read whole, and therefore bounded.
//!
//! What is no regular file is refused before it is opened: a pipe or a device may have no end, or make whoever opens it wait.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Reads a file of at most so many bytes.
///
/// # Errors
/// It is no regular file (a link to one is), cannot be read, is longer, or is no UTF-8.
pub fn read_text_file(path: &Path, max_bytes: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    // The length that a file system claims is no bound: some files of /proc and /sys claim none.
    open_regular_file(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        let message = format!("longer than {max_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("no UTF-8 at byte {at}"))
    })
}

/// Opens a file that is one, rather than a directory, pipe, socket or device.
///
/// # Errors
/// It is none, or cannot be opened.
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    check_regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    // Another one may have taken its place meanwhile.
    check_regular(&file.metadata()?)?;
    Ok(file)
}

fn check_regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let message = format!("{}, and not a regular file", kind(metadata.file_type()));
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// What a file is that is neither a regular one nor a directory.
#[cfg(unix)]
fn kind(file_type: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    match file_type {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something special",
    }
}

/// What a file is that is neither a regular one nor a directory.
#[cfg(not(unix))]
fn kind(_: std::fs::FileType) -> &'static str {
    "something special"
}

/// What a file is that records cannot come from: neither a regular file, nor a pipe.
pub fn endless_kind(file_type: std::fs::FileType) -> Option<&'static str> {
    (!file_type.is_file())
        .then(|| kind(file_type))
        .filter(|kind| *kind != "a pipe")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        read_text_file(path, 10).unwrap_err().to_string()
    }

    #[test]
    fn what_has_no_end_is_refused_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        std::fs::write(&file, "0123456789").unwrap();
        assert_eq!(read_text_file(&file, 10).unwrap(), "0123456789");
        std::fs::write(&file, "0123456789a").unwrap();
        assert_eq!(refused(&file), "longer than 10 bytes");
        std::fs::write(&file, b"ab\xff").unwrap();
        assert_eq!(refused(&file), "no UTF-8 at byte 2");
        assert!(refused(directory.path()).contains("directory"));
        assert_eq!(
            refused(&directory.path().join("b")),
            "No such file or directory (os error 2)"
        );
        assert_eq!(refused(Path::new("/dev/zero")), "a device, and not a regular file");
        assert_eq!(refused(Path::new("/dev/null")), "a device, and not a regular file");
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(refused(&pipe), "a pipe, and not a regular file");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(refused(&link), "no UTF-8 at byte 2", "a link to a file is one");
        // It claims to have no bytes at all.
        assert_eq!(refused(Path::new("/proc/self/mounts")), "longer than 10 bytes");
    }
}
