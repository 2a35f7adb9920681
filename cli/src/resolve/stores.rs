//! Opening the store that a command reads.

use std::path::PathBuf;

use anyhow::Result;
use casebook_investigate::archive::Archive;
use casebook_store::{IndexCacheConfig, Store, StoreConfig};

use crate::args::StoreArgs;
use crate::exit_code::usage;

/// Names the directory in which parts of indexes from an object store are kept.
const CACHE_DIRECTORY: &str = "CASEBOOK_CACHE";
/// Names the bound of that directory, in MiB; with 0 nothing is kept.
const CACHE_MIB: &str = "CASEBOOK_CACHE_MIB";
/// The bound where nothing is said, in MiB.
const DEFAULT_CACHE_MIB: u64 = 2_048;

/// The store that must already be there.
pub async fn open_existing(args: &StoreArgs) -> Result<Store> {
    let config = StoreConfig {
        index_cache: index_cache()?,
        ..StoreConfig::default()
    };
    Ok(Store::open_existing(&args.store, config).await?)
}

/// The store as it is asked now.
pub fn archive(store: &Store) -> Archive<'_> {
    Archive::new(
        store,
        |event| casebook_pipeline::revive(event).event,
        casebook_pipeline::now(),
    )
}

/// Where an investigator's commands keep what they fetched; nowhere where no directory is known.
fn index_cache() -> Result<Option<IndexCacheConfig>> {
    let mib = match std::env::var(CACHE_MIB) {
        Ok(text) => text
            .parse::<u64>()
            .map_err(|_| usage(format!("{CACHE_MIB}: `{text}` is no number of MiB")))?,
        Err(_) => DEFAULT_CACHE_MIB,
    };
    let directory = |name| {
        std::env::var_os(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let directory = directory(CACHE_DIRECTORY)
        .or_else(|| Some(directory("XDG_CACHE_HOME")?.join("casebook")))
        .or_else(|| Some(directory("HOME")?.join(".cache/casebook")));
    Ok(directory.filter(|_| mib > 0).map(|directory| IndexCacheConfig {
        directory: directory.join("index"),
        limit_bytes: mib.saturating_mul(1 << 20),
    }))
}
