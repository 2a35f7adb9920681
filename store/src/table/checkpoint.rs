//! Delta checkpoints: the whole state of a table in one Parquet file (protocol section "V1 Checkpoints"), so that opening
//! a table reads one file and a few entries, however many commits it has seen.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow_json::{LineDelimitedWriter, ReaderBuilder};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::log::Log;
use super::snapshot::{Snapshot, TOMBSTONE_RETENTION_MS};
use crate::StoreError;
use crate::error::BoxError;

/// The content of `_delta_log/_last_checkpoint`.
#[derive(Serialize, Deserialize)]
struct Hint {
    version: u64,
    size: u64,
}

/// The version that `_last_checkpoint` names. A missing or broken hint only makes opening slower.
pub(super) async fn read_hint(log: &Log) -> Result<Option<u64>, StoreError> {
    let path = log.hint_path();
    let found = match log.files.get(&path).await {
        Ok(found) => found.bytes().await,
        Err(ObjectError::NotFound { .. }) => return Ok(None),
        Err(error) => Err(error),
    };
    let bytes = found.map_err(|error| failed(log, "read", &path, error))?;
    Ok(serde_json::from_slice::<Hint>(&bytes).ok().map(|hint| hint.version))
}

/// The actions of one checkpoint file.
pub(super) async fn read(log: &Log, path: &Path) -> Result<Vec<Action>, StoreError> {
    let found = log
        .files
        .get(path)
        .await
        .map_err(|error| failed(log, "read", path, error))?;
    let mut chunks = found.into_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks
        .try_next()
        .await
        .map_err(|error| failed(log, "read", path, error))?
    {
        bytes.extend_from_slice(&chunk);
    }
    let decoded = tokio::task::spawn_blocking(move || decode(bytes.into()))
        .await
        .map_err(|_| StoreError::Cancelled)?;
    decoded.map_err(|error| failed(log, "read", path, error))
}

fn decode(bytes: bytes::Bytes) -> Result<Vec<Action>, BoxError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let known = schema();
    let roots: Vec<usize> = builder
        .parquet_schema()
        .root_schema()
        .get_fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| known.field_with_name(field.name()).is_ok())
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let mut actions = Vec::new();
    for batch in builder.with_projection(mask).build()? {
        // Through JSON, whose names and shapes are those of the log's own entries.
        let mut lines = LineDelimitedWriter::new(Vec::new());
        lines.write(&batch?)?;
        lines.finish()?;
        for line in lines
            .into_inner()
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            actions.push(serde_json::from_slice(line)?);
        }
    }
    Ok(actions)
}

/// Writes the checkpoint of `snapshot`, then the hint to it.
pub(super) async fn write(log: &Log, snapshot: Arc<Snapshot>, now_ms: i64) -> Result<(), StoreError> {
    let path = log.checkpoint_path(snapshot.version);
    let version = snapshot.version;
    let encoded = tokio::task::spawn_blocking(move || encode(&snapshot, now_ms))
        .await
        .map_err(|_| StoreError::Cancelled)?;
    let (bytes, size) = encoded.map_err(|error| failed(log, "write", &path, error))?;
    log.files
        .put(&path, bytes.into())
        .await
        .map_err(|error| failed(log, "write", &path, error))?;
    let hint = serde_json::to_vec(&Hint { version, size }).unwrap_or_default();
    let path = log.hint_path();
    log.files
        .put(&path, hint.into())
        .await
        .map_err(|error| failed(log, "write", &path, error))?;
    Ok(())
}

fn encode(snapshot: &Snapshot, now_ms: i64) -> Result<(Vec<u8>, u64), BoxError> {
    let mut actions = vec![
        Action {
            protocol: Some(snapshot.protocol.clone()),
            ..Action::default()
        },
        Action {
            meta_data: Some(snapshot.meta_data.clone()),
            ..Action::default()
        },
    ];
    actions.extend(snapshot.txns.values().map(|txn| Action {
        txn: Some(txn.clone()),
        ..Action::default()
    }));
    actions.extend(snapshot.domains.values().map(|domain| Action {
        domain_metadata: Some(domain.clone()),
        ..Action::default()
    }));
    actions.extend(snapshot.files.values().map(|file| {
        // A checkpoint's adds change no data: they repeat what entries said.
        let mut add = file.add.clone();
        add.data_change = false;
        Action {
            add: Some(add),
            ..Action::default()
        }
    }));
    let oldest = now_ms.saturating_sub(TOMBSTONE_RETENTION_MS);
    let kept = snapshot
        .tombstones
        .values()
        .filter(|remove| remove.deletion_timestamp.unwrap_or(0) >= oldest);
    actions.extend(kept.map(|remove| {
        let mut remove = remove.clone();
        remove.data_change = false;
        Action {
            remove: Some(remove),
            ..Action::default()
        }
    }));

    let schema = Arc::new(schema());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
    for chunk in actions.chunks(4096) {
        let mut decoder = ReaderBuilder::new(schema.clone())
            .with_batch_size(chunk.len())
            .build_decoder()?;
        decoder.serialize(chunk)?;
        if let Some(batch) = decoder.flush()? {
            writer.write(&batch)?;
        }
    }
    Ok((writer.into_inner()?, actions.len() as u64))
}

fn failed(log: &Log, action: &'static str, path: &Path, source: impl Into<BoxError>) -> StoreError {
    StoreError::File {
        table: log.table.name(),
        action,
        path: path.to_string(),
        source: source.into(),
    }
}

/// The schema of a checkpoint, as the protocol gives it, without what tables of this store never have.
fn schema() -> Schema {
    let action = |name: &str, fields: Vec<Field>| Field::new_struct(name, fields, true);
    Schema::new(vec![
        action(
            "txn",
            vec![text("appId", false), long("version", false), long("lastUpdated", true)],
        ),
        action("add", add_fields()),
        action("remove", remove_fields()),
        action("metaData", meta_data_fields()),
        action("protocol", protocol_fields()),
        action(
            "domainMetadata",
            vec![text("domain", false), text("configuration", false), flag("removed")],
        ),
    ])
}

fn add_fields() -> Vec<Field> {
    vec![
        text("path", false),
        map("partitionValues", true, false),
        long("size", false),
        long("modificationTime", false),
        flag("dataChange"),
        text("stats", true),
        map("tags", true, true),
    ]
}

fn remove_fields() -> Vec<Field> {
    vec![
        text("path", false),
        long("deletionTimestamp", true),
        flag("dataChange"),
        Field::new("extendedFileMetadata", DataType::Boolean, true),
        map("partitionValues", true, true),
        long("size", true),
    ]
}

fn meta_data_fields() -> Vec<Field> {
    vec![
        text("id", false),
        text("name", true),
        text("description", true),
        Field::new_struct(
            "format",
            vec![text("provider", false), map("options", true, false)],
            false,
        ),
        text("schemaString", false),
        texts("partitionColumns", false),
        map("configuration", true, false),
        long("createdTime", true),
    ]
}

fn protocol_fields() -> Vec<Field> {
    vec![
        int("minReaderVersion"),
        int("minWriterVersion"),
        texts("readerFeatures", true),
        texts("writerFeatures", true),
    ]
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn texts(name: &str, nullable: bool) -> Field {
    Field::new_list(name, Field::new("element", DataType::Utf8, true), nullable)
}

fn long(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int64, nullable)
}

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int32, false)
}

fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, false)
}

fn map(name: &str, value_nullable: bool, nullable: bool) -> Field {
    let entries = Fields::from(vec![text("key", false), text("value", value_nullable)]);
    Field::new_map(
        name,
        "key_value",
        entries[0].clone(),
        entries[1].clone(),
        false,
        nullable,
    )
}
