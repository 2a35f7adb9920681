//! What one commit changes in a table, and the log entry that says so.

use std::collections::BTreeMap;

use bytes::Bytes;
use casebook_event::Timestamp;
use serde_json::json;

use super::action::{Action, Add, DomainMetadata, Format, MetaData, Protocol, Remove, Txn};
use super::snapshot::Snapshot;
use crate::clock::now_ms;
use crate::schema::{TableSchema, widened};
use crate::{StoreError, TableName};

/// What one commit changes in a table.
#[derive(Debug, Default)]
pub(crate) struct Proposal {
    pub adds: Vec<Add>,
    /// Data files that belong to the table no more. They stay on the disk: whoever reads an older version still needs them.
    pub removes: Vec<Remove>,
    pub txns: Vec<Txn>,
    pub domains: Vec<DomainMetadata>,
    /// The time to write into the log.
    pub now: Timestamp,
}

/// The actions of a log entry, with its text.
pub(super) struct Entry {
    pub text: Bytes,
    pub actions: Vec<Action>,
}

impl Entry {
    /// The entry of a proposal, which `commit_id` tells from every other.
    pub fn new(table: TableName, proposal: Proposal, commit_id: &str) -> Result<Self, StoreError> {
        // The names that Delta gives to an append, to a compaction, and to rows that go.
        let (operation, parameters) = match proposal.removes.as_slice() {
            [] => ("WRITE", json!({"mode": "Append"})),
            removes if removes.iter().any(|remove| remove.data_change) => ("DELETE", json!({})),
            _ => ("OPTIMIZE", json!({})),
        };
        let info = json!({
            "timestamp": proposal.now.as_nanos().div_euclid(1_000_000),
            "operation": operation,
            "operationParameters": parameters,
            "isBlindAppend": proposal.removes.is_empty(),
            "engineInfo": ENGINE_INFO,
            "txnId": commit_id,
        });
        let mut actions = vec![Action {
            commit_info: Some(info),
            ..Action::default()
        }];
        actions.extend(proposal.txns.into_iter().map(|txn| Action {
            txn: Some(txn),
            ..Action::default()
        }));
        actions.extend(proposal.domains.into_iter().map(|domain| Action {
            domain_metadata: Some(domain),
            ..Action::default()
        }));
        actions.extend(proposal.removes.into_iter().map(|remove| Action {
            remove: Some(remove),
            ..Action::default()
        }));
        actions.extend(proposal.adds.into_iter().map(|add| Action {
            add: Some(add),
            ..Action::default()
        }));
        let text = text(table, &actions)?;
        Ok(Self { text, actions })
    }

    /// The entry with the columns that this version writes and the table does not name yet, if there are any: readers of other
    /// engines see only named columns.
    pub fn widening(&self, table: TableName, snapshot: &Snapshot) -> Result<Option<Self>, StoreError> {
        let ours = TableSchema::of(table).delta_json();
        let Some(schema_string) = widened(&snapshot.meta_data.schema_string, &ours) else {
            return Ok(None);
        };
        let mut actions = self.actions.clone();
        actions.insert(
            1,
            Action {
                meta_data: Some(MetaData {
                    schema_string,
                    ..snapshot.meta_data.clone()
                }),
                ..Action::default()
            },
        );
        let text = text(table, &actions)?;
        Ok(Some(Self { text, actions }))
    }

    /// Whether the entry with these actions is the one of the proposal that had that id.
    pub fn has_id(actions: &[Action], commit_id: &str) -> bool {
        let mut infos = actions.iter().filter_map(|action| action.commit_info.as_ref());
        infos.any(|info| info.get("txnId").and_then(|id| id.as_str()) == Some(commit_id))
    }
}

/// What the log says of who wrote an entry.
const ENGINE_INFO: &str = concat!("casebook/", env!("CARGO_PKG_VERSION"));

/// Version 0: what the table is.
pub(super) fn first(table: TableName) -> Result<Bytes, StoreError> {
    let schema = TableSchema::of(table);
    let now_ms = now_ms();
    let info = json!({
        "timestamp": now_ms,
        "operation": "CREATE TABLE",
        "operationParameters": {},
        "engineInfo": ENGINE_INFO,
    });
    let meta_data = MetaData {
        id: uuid::Uuid::new_v4().to_string(),
        name: Some(table.name().to_owned()),
        description: Some(schema.description.to_owned()),
        format: Format::default(),
        schema_string: schema.delta_json(),
        partition_columns: vec![schema.partition.to_owned()],
        configuration: BTreeMap::new(),
        created_time: Some(now_ms),
    };
    let actions = [
        Action {
            commit_info: Some(info),
            ..Action::default()
        },
        Action {
            protocol: Some(Protocol::new(table == TableName::Alerts)),
            ..Action::default()
        },
        Action {
            meta_data: Some(meta_data),
            ..Action::default()
        },
    ];
    text(table, &actions)
}

/// One line of JSON for each action.
fn text(table: TableName, actions: &[Action]) -> Result<Bytes, StoreError> {
    let mut text = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut text, action).map_err(|error| StoreError::Encode {
            table: table.name(),
            rows: actions.len(),
            source: error.into(),
        })?;
        text.push(b'\n');
    }
    Ok(text.into())
}
