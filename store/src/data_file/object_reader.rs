//! Reading byte ranges of one data file from the object store, for the Parquet reader.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// Bytes at the end of a file that are fetched first: enough for the footer of most files in one request.
pub(crate) const FOOTER_GUESS_BYTES: usize = 64 * 1024;

/// A data file in the object store.
#[derive(Debug, Clone)]
pub(crate) struct ObjectReader {
    pub files: Arc<dyn ObjectStore>,
    pub path: Path,
    pub size: u64,
    /// Bytes that were asked for, by this reader and those that share the count.
    pub bytes_read: Arc<AtomicU64>,
    /// The last bytes of the file, and where they begin, if they were fetched ahead.
    pub end: Option<(u64, Bytes)>,
}

impl ObjectReader {
    /// Fetches the last bytes of the file, from which everything that lies there is taken then.
    pub async fn fetch_end(&mut self, bytes: u64) -> Result<()> {
        let start = self.size.saturating_sub(bytes);
        let end = self.get_bytes(start..self.size).await?;
        self.end = Some((start, end));
        Ok(())
    }

    /// A range of what was fetched ahead.
    fn read_ahead(&self, range: &Range<u64>) -> Option<Bytes> {
        let (start, bytes) = self.end.as_ref()?;
        let position = |at: u64| usize::try_from(at.checked_sub(*start)?).ok();
        let (from, to) = (position(range.start)?, position(range.end)?);
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    }

    fn count(&self, range: &Range<u64>) {
        self.bytes_read
            .fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        if let Some(held) = self.read_ahead(&range) {
            return std::future::ready(Ok(held)).boxed();
        }
        self.count(&range);
        self.files.get_range(&self.path, range).map_err(external).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let held: Option<Vec<Bytes>> = ranges.iter().map(|range| self.read_ahead(range)).collect();
        if let Some(held) = held {
            return std::future::ready(Ok(held)).boxed();
        }
        ranges.iter().for_each(|range| self.count(range));
        async move { self.files.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let size = self.size;
        async move {
            let reader = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(Some(FOOTER_GUESS_BYTES));
            Ok(Arc::new(reader.load_and_finish(self, size).await?))
        }
        .boxed()
    }
}
