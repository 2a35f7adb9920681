//! How a store writes and reads: its settings and their defaults.

use std::path::PathBuf;

/// Zstandard level of the data files. Level 3 is 5 % smaller and a sixth slower on audit logs.
pub const DEFAULT_ZSTD_LEVEL: i32 = 1;

/// Zstandard level of files that a compaction makes: they are written once and stay. Records take a sixth less room than at
/// level 1, for some 4 ms more a megabyte.
pub const COMPACTED_ZSTD_LEVEL: i32 = 6;

/// Rows of a row group: the unit that statistics, bloom filters and parallel reads work on.
pub const DEFAULT_ROW_GROUP_ROWS: usize = 128 * 1024;

/// Raw bytes after which a commit begins another data file for the same date.
pub const DEFAULT_TARGET_FILE_BYTES: usize = 512 << 20;

/// Uncompressed bytes of one data page: what is decoded to reach one row of a column. Records take a sixth less room in pages of
/// this size than in such of 128 KiB.
pub const DEFAULT_PAGE_BYTES: usize = 512 * 1024;

/// Memory that the index writer reserves to begin with, in bytes; it grows with the number of distinct words.
pub const DEFAULT_INDEX_HEAP_BYTES: usize = 15 << 20;

/// Commits between two Delta checkpoints.
pub const DEFAULT_CHECKPOINT_INTERVAL_COMMITS: u64 = 50;

/// Data files that a search reads at the same time.
pub const DEFAULT_SEARCH_FILES: usize = 4;

/// How long log entries that a checkpoint has made needless are kept, in milliseconds: 30 days, as Delta's
/// `delta.logRetentionDuration` has it.
pub const DEFAULT_LOG_RETENTION_MS: i64 = 30 * 24 * 3600 * 1000;

/// How a store writes and reads. `StoreConfig::default()` is right for one machine with a local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Zstandard level of the data files, 1 to 22.
    pub zstd_level: i32,
    /// Rows of a row group.
    pub row_group_rows: usize,
    /// Raw bytes after which a commit begins another data file for the same date.
    pub target_file_bytes: usize,
    /// Uncompressed bytes of one data page.
    pub page_bytes: usize,
    /// Memory that the index writer reserves to begin with, in bytes.
    pub index_heap_bytes: usize,
    /// Whether an index is written beside each file of events. Without it every search reads the events themselves.
    pub write_index: bool,
    /// Commits between two Delta checkpoints; 0 writes none.
    pub checkpoint_interval_commits: u64,
    /// How long log entries that a checkpoint has made needless are kept, in milliseconds.
    pub log_retention_ms: i64,
    /// Data files that a search reads at the same time.
    pub search_files: usize,
    /// Where parts of indexes that were fetched from an object store are kept; nowhere where there is none.
    pub index_cache: Option<IndexCacheConfig>,
}

/// A local directory with parts of indexes. Several processes may share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexCacheConfig {
    /// The directory; it is created where it is missing.
    pub directory: PathBuf,
    /// Most bytes that are kept there.
    pub limit_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            zstd_level: DEFAULT_ZSTD_LEVEL,
            row_group_rows: DEFAULT_ROW_GROUP_ROWS,
            target_file_bytes: DEFAULT_TARGET_FILE_BYTES,
            page_bytes: DEFAULT_PAGE_BYTES,
            index_heap_bytes: DEFAULT_INDEX_HEAP_BYTES,
            write_index: true,
            checkpoint_interval_commits: DEFAULT_CHECKPOINT_INTERVAL_COMMITS,
            log_retention_ms: DEFAULT_LOG_RETENTION_MS,
            search_files: DEFAULT_SEARCH_FILES,
            index_cache: None,
        }
    }
}
