//! The field table as a document, so that it cannot say anything else than the code does.

use std::fmt::Write as _;

use crate::{FieldId, FieldType, Indexed, Source, TAXONOMY};

/// `docs/data-model.md`.
pub fn data_model_markdown() -> String {
    let mut text = String::from(
        "# Data model\n\nGenerated from the field table in `event/src/field.rs`; a test keeps it current \
         (`UPDATE_DOCS=1 cargo test --release -p casebook-event` rewrites it).\n\n## Sources\n\n| name | event.module | event.dataset | Sigma logsource (product / category / service) |\n|---|---|---|---|\n",
    );
    // Writing to a String cannot fail.
    for source in Source::ALL {
        let logsources: Vec<String> = source
            .logsources()
            .iter()
            .map(|l| {
                [l.product, l.category, l.service]
                    .map(|part| if part.is_empty() { "–" } else { part })
                    .join(" / ")
            })
            .collect();
        let _ = writeln!(
            text,
            "| `{source}` | {} | {} | {} |",
            source.module(),
            source.dataset(),
            logsources.join("; ")
        );
    }
    text.push_str(
        "\n## Columns of every event\n\n| column | type | what it is |\n|---|---|---|\n\
         | `event_date` | date | partition column: the day of `time`, UTC |\n\
         | `event_id` | string | identity: 32 hexadecimal digits, the same for a duplicate |\n\
         | `time` | timestamp | when it happened, by the source's clock |\n\
         | `ingested` | timestamp | when it was read |\n\
         | `source` | string | one of the sources above |\n\
         | `raw` | string | the record as it was read |\n\
         | `kafka_topic`, `kafka_partition`, `kafka_offset`, `kafka_index` | string, int, long, int | where it was read; `kafka_index` counts the events of one record |\n\
         \n## Fields\n\nA column is the field's name with dots turned into underscores. An *entity* field has an exact index term and a bloom filter, an *exact* one an index term; all text of the record is found by word.\n\n| field | type | index | what it is |\n|---|---|---|---|\n",
    );
    for &id in FieldId::ALL {
        let info = id.info();
        let field_type = match info.field_type {
            FieldType::Keyword => "string",
            FieldType::Keywords => "list of strings",
            FieldType::Long => "long",
        };
        let indexed = match info.indexed {
            Indexed::Entity => "entity",
            Indexed::Exact => "exact",
            Indexed::No => "–",
        };
        let _ = writeln!(text, "| `{}` | {field_type} | {indexed} | {} |", info.name, id.doc());
    }
    text.push_str("\n## Sigma taxonomy names\n\n| name in a rule | field |\n|---|---|\n");
    for (name, fields) in TAXONOMY {
        let fields: Vec<String> = fields.iter().map(|id| format!("`{id}`")).collect();
        let _ = writeln!(text, "| `{name}` | {} |", fields.join(", else "));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/data-model.md");
        let want = super::data_model_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &want).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == want,
            "docs/data-model.md is not current: UPDATE_DOCS=1 cargo test --release -p casebook-event"
        );
    }
}
