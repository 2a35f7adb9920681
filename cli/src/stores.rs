//! Opening the store that a command reads.

use anyhow::Result;
use casebook_store::{Store, StoreConfig};

use crate::args::StoreArgs;

/// The store that must already be there.
pub async fn open_existing(args: &StoreArgs) -> Result<Store> {
    Ok(Store::open_existing(&args.store, StoreConfig::default()).await?)
}
