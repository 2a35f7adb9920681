//! The columns of the tables, once as Arrow types (for the data files) and once as Delta types (for the log).
//!
//! Delta's `timestamp` has microseconds, so `time` holds them, rounded down, and `time_nanos` beside it the exact value.
//! Every column is nullable but those without which a row means nothing.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use casebook_event::{FieldId, FieldType};
use serde_json::{Value as Json, json};

use crate::TableName;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Texts,
    Long,
    Int,
    Time,
    Date,
    Binary,
    Flag,
}

/// The schema of one table.
#[derive(Debug)]
pub(crate) struct TableSchema {
    /// For people, in the table's metadata.
    pub description: &'static str,
    /// The column that names the folder of a data file. It is in the log, not in the files.
    pub partition: &'static str,
    /// The column of a row's time: the partition is its date.
    pub time: &'static str,
    columns: Vec<(&'static str, Kind, bool)>,
    /// The columns of a data file.
    pub file: SchemaRef,
    /// All columns, the partition column first.
    pub full: SchemaRef,
}

const NEEDED: bool = false;
const NULLABLE: bool = true;

static EVENTS: LazyLock<TableSchema> = LazyLock::new(|| {
    let mut columns = vec![
        ("event_id", Kind::Text, NEEDED),
        ("time", Kind::Time, NEEDED),
        ("time_nanos", Kind::Long, NEEDED),
        ("ingested", Kind::Time, NEEDED),
        ("source", Kind::Text, NEEDED),
    ];
    columns.extend(FieldId::ALL.iter().map(|id| {
        let kind = match id.info().field_type {
            FieldType::Keyword => Kind::Text,
            FieldType::Keywords => Kind::Texts,
            FieldType::Long => Kind::Long,
        };
        (id.info().column, kind, NULLABLE)
    }));
    columns.extend([
        ("raw", Kind::Text, NULLABLE),
        ("kafka_topic", Kind::Text, NULLABLE),
        ("kafka_partition", Kind::Int, NULLABLE),
        ("kafka_offset", Kind::Long, NULLABLE),
        ("kafka_index", Kind::Int, NULLABLE),
    ]);
    TableSchema::new(
        "Every event, with its normalized fields and the record it came from",
        "event_date",
        "time",
        columns,
    )
});

static ALERTS: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::new(
        "Every revision of every alert; the latest revision of an id is the alert",
        "alert_date",
        "time",
        vec![
            ("id", Kind::Text, NEEDED),
            ("revision", Kind::Int, NEEDED),
            ("status", Kind::Text, NEEDED),
            ("time", Kind::Time, NEEDED),
            ("rule_id", Kind::Text, NULLABLE),
            ("rule_name", Kind::Text, NULLABLE),
            ("level", Kind::Text, NULLABLE),
            ("kind", Kind::Text, NULLABLE),
            ("group", Kind::Text, NULLABLE),
            ("window_from", Kind::Time, NULLABLE),
            ("window_to", Kind::Time, NULLABLE),
            ("evidence_total", Kind::Long, NULLABLE),
            ("alert", Kind::Text, NEEDED),
            ("committed", Kind::Time, NULLABLE),
        ],
    )
});

static DEAD_LETTERS: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::new(
        "Records that could not become events, with the reason and the bytes",
        "ingest_date",
        "ingested",
        vec![
            ("ingested", Kind::Time, NEEDED),
            ("topic", Kind::Text, NEEDED),
            ("partition", Kind::Int, NEEDED),
            ("offset", Kind::Long, NEEDED),
            ("index", Kind::Int, NEEDED),
            ("reason", Kind::Text, NULLABLE),
            ("detail", Kind::Text, NULLABLE),
            ("payload", Kind::Binary, NULLABLE),
            ("cut_from_bytes", Kind::Long, NULLABLE),
            ("cut_from_sha256", Kind::Text, NULLABLE),
        ],
    )
});

// The columns that rows are sorted by come first, in that order.
static SIGNALS: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::new(
        "What was reported to correlation and what it decided: matches of rules, and windows of groups",
        "signal_date",
        "time",
        vec![
            ("key", Kind::Long, NEEDED),
            ("time_nanos", Kind::Long, NEEDED),
            ("event_id", Kind::Binary, NULLABLE),
            ("time", Kind::Time, NEEDED),
            ("kind", Kind::Text, NEEDED),
            ("rule_id", Kind::Text, NEEDED),
            ("rule_version", Kind::Text, NULLABLE),
            ("group", Kind::Text, NEEDED),
            ("matched_rule_id", Kind::Text, NULLABLE),
            ("value", Kind::Text, NULLABLE),
            ("entity", Kind::Text, NULLABLE),
            ("sharded", Kind::Flag, NULLABLE),
            ("source", Kind::Text, NULLABLE),
            ("entities", Kind::Text, NULLABLE),
            ("kafka_topic", Kind::Text, NULLABLE),
            ("kafka_partition", Kind::Int, NULLABLE),
            ("kafka_offset", Kind::Long, NULLABLE),
            ("kafka_index", Kind::Int, NULLABLE),
            ("alert_id", Kind::Text, NULLABLE),
            ("revision", Kind::Int, NULLABLE),
            ("status", Kind::Text, NULLABLE),
            ("window_to", Kind::Long, NULLABLE),
            ("met", Kind::Long, NULLABLE),
            ("content", Kind::Long, NULLABLE),
        ],
    )
});

static BINDINGS: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::new(
        "What names stood for: one row for each binding that an event reported for entity resolution",
        "binding_date",
        "time",
        vec![
            ("key", Kind::Long, NEEDED),
            ("time_nanos", Kind::Long, NEEDED),
            ("to_key", Kind::Long, NEEDED),
            ("time", Kind::Time, NEEDED),
            ("from_kind", Kind::Text, NEEDED),
            ("from_value", Kind::Text, NEEDED),
            ("from_cluster", Kind::Text, NULLABLE),
            ("to_kind", Kind::Text, NEEDED),
            ("to_value", Kind::Text, NEEDED),
            ("to_cluster", Kind::Text, NULLABLE),
            ("ends", Kind::Flag, NEEDED),
            ("how", Kind::Text, NEEDED),
            ("confidence", Kind::Text, NEEDED),
        ],
    )
});

impl TableSchema {
    /// The schema of a table.
    pub fn of(table: TableName) -> &'static Self {
        match table {
            TableName::Events => &EVENTS,
            TableName::Alerts => &ALERTS,
            TableName::DeadLetters => &DEAD_LETTERS,
            TableName::Signals => &SIGNALS,
            TableName::Bindings => &BINDINGS,
        }
    }

    fn new(
        description: &'static str,
        partition: &'static str,
        time: &'static str,
        columns: Vec<(&'static str, Kind, bool)>,
    ) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind, nullable)| kind.arrow(name, *nullable))
            .collect();
        let mut full = vec![Kind::Date.arrow(partition, NULLABLE)];
        full.extend(fields.iter().cloned());
        Self {
            description,
            partition,
            time,
            columns,
            file: Arc::new(Schema::new(fields)),
            full: Arc::new(Schema::new(full)),
        }
    }

    /// The schema as Delta's metadata has it.
    pub fn delta_json(&self) -> String {
        let field = |name: &str, kind: Kind, nullable: bool| json!({"name": name, "type": kind.delta(), "nullable": nullable, "metadata": {}});
        let mut fields = vec![field(self.partition, Kind::Date, NULLABLE)];
        fields.extend(
            self.columns
                .iter()
                .map(|(name, kind, nullable)| field(name, *kind, *nullable)),
        );
        json!({"type": "struct", "fields": fields}).to_string()
    }
}

/// A table's schema with the columns of ours that it lacks after its own: a table that an older version made, or another
/// writer widened, keeps what it has. `None` where nothing is missing, or the text is no schema.
pub(crate) fn widened(table: &str, ours: &str) -> Option<String> {
    let mut schema: Json = serde_json::from_str(table).ok()?;
    let ours: Json = serde_json::from_str(ours).ok()?;
    let fields = schema.get_mut("fields")?.as_array_mut()?;
    let missing: Vec<Json> = ours["fields"]
        .as_array()?
        .iter()
        .filter(|field| !fields.iter().any(|known| known["name"] == field["name"]))
        .cloned()
        .collect();
    if missing.is_empty() {
        return None;
    }
    fields.extend(missing);
    Some(schema.to_string())
}

impl Kind {
    fn arrow(self, name: &str, nullable: bool) -> Field {
        let data_type = match self {
            Self::Text => DataType::Utf8,
            Self::Texts => DataType::new_list(DataType::Utf8, true),
            Self::Long => DataType::Int64,
            Self::Int => DataType::Int32,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Binary => DataType::Binary,
            Self::Flag => DataType::Boolean,
        };
        Field::new(name, data_type, nullable)
    }

    fn delta(self) -> Json {
        match self {
            Self::Text => json!("string"),
            Self::Texts => json!({"type": "array", "elementType": "string", "containsNull": true}),
            Self::Long => json!("long"),
            Self::Int => json!("integer"),
            Self::Time => json!("timestamp"),
            Self::Date => json!("date"),
            Self::Binary => json!("binary"),
            Self::Flag => json!("boolean"),
        }
    }
}
