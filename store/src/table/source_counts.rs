//! What one data file holds of each source: a tag of its add action, so that counts by source and day, and how far each
//! source is known, are answered by the log alone.
//!
//! The tag is `casebook.sources`, a JSON object by source name: `{"auth":{"rows":2,"first":"…","last":"…",
//! "ingested":"…","masked":1,"metadata_only":0,"late":0}}`. Other readers of the table leave tags alone.

use std::collections::BTreeMap;

use casebook_event::{Event, FieldId, Source, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::action::Add;

/// The beginning of an audit event, in which its level stands.
const AUDIT_HEAD_BYTES: usize = 160;
/// What it says where the policy's level leaves the bodies out.
const METADATA_ONLY: &str = r#""level":"Metadata""#;

/// How long after it happened a row may be read without being late.
const LATE_NANOS: i64 = 10 * 60 * 1_000_000_000;

/// The name of the tag.
const TAG: &str = "casebook.sources";

/// What a file holds of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceCount {
    /// Its rows.
    pub rows: u64,
    /// The time of the first event.
    pub first: Timestamp,
    /// The time of the last event.
    pub last: Timestamp,
    /// When the last of them was read.
    pub ingested: Timestamp,
    /// Rows in which a secret was masked.
    pub masked: u64,
    /// Audit events of which the cluster's policy logged neither request nor response.
    pub metadata_only: u64,
    /// Rows that were read more than [`LATE_NANOS`] after they happened. Files of older versions do not count them.
    pub late: u64,
}

impl SourceCount {
    /// That of one row.
    pub fn of(event: &Event) -> Self {
        let head = &event.raw[..event.raw.floor_char_boundary(AUDIT_HEAD_BYTES)];
        let is_bare = event.source == Source::KubernetesAudit && head.contains(METADATA_ONLY);
        Self {
            rows: 1,
            first: event.time,
            last: event.time,
            ingested: event.ingested,
            masked: u64::from(event.fields.get(FieldId::Masked).is_some()),
            metadata_only: u64::from(is_bare),
            late: u64::from(event.ingested.as_nanos().saturating_sub(event.time.as_nanos()) > LATE_NANOS),
        }
    }
}

/// What a file holds, by the source's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceCounts(pub BTreeMap<String, SourceCount>);

impl SourceCounts {
    /// Counts rows of a source.
    pub fn add(&mut self, source: &str, count: &SourceCount) {
        match self.0.get_mut(source) {
            Some(known) => known.add(count),
            None => drop(self.0.insert(source.to_owned(), *count)),
        }
    }

    /// The tags of the add action; none for a file that counts nothing.
    pub fn tags(&self) -> Option<BTreeMap<String, Option<String>>> {
        if self.0.is_empty() {
            return None;
        }
        let counts: Map<String, Json> = self
            .0
            .iter()
            .map(|(source, count)| {
                let SourceCount {
                    rows,
                    first,
                    last,
                    ingested,
                    masked,
                    metadata_only,
                    late,
                } = count;
                let [first, last, ingested] = [first, last, ingested].map(ToString::to_string);
                let count = json!({
                    "rows": rows, "first": first, "last": last, "ingested": ingested, "masked": masked,
                    "metadata_only": metadata_only, "late": late,
                });
                (source.clone(), count)
            })
            .collect();
        Some([(TAG.to_owned(), Some(Json::Object(counts).to_string()))].into())
    }

    /// What an add action says; `None` where it says nothing that can be read, as those of older versions do.
    pub fn of(add: &Add) -> Option<Self> {
        let text = add.tags.as_ref()?.get(TAG)?.as_deref()?;
        let counts: Map<String, Json> = serde_json::from_str(text).ok()?;
        let counts = counts.into_iter().map(|(source, count)| {
            let time = |name: &str| Timestamp::parse_rfc3339(count.get(name)?.as_str()?);
            let number = |name: &str| count.get(name)?.as_u64();
            let count = SourceCount {
                rows: number("rows")?,
                first: time("first")?,
                last: time("last")?,
                ingested: time("ingested")?,
                masked: number("masked")?,
                metadata_only: number("metadata_only")?,
                late: number("late").unwrap_or(0),
            };
            Some((source, count))
        });
        counts.collect::<Option<_>>().map(Self)
    }
}

impl SourceCount {
    /// Takes the rows of another file, or row, along.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.ingested = self.ingested.max(other.ingested);
        self.masked += other.masked;
        self.metadata_only += other.metadata_only;
        self.late += other.late;
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::{EventId, Fields, Native, Position};

    use super::*;

    fn event(source: Source, seconds: i64, raw: &str, masked: bool) -> Event {
        let mut fields = Fields::new();
        if masked {
            fields.push(FieldId::Masked, "bearer");
        }
        Event {
            id: EventId::from_u128(1),
            time: Timestamp::from_seconds(seconds),
            // What happened at an even second is read ten minutes later, else one nanosecond after that.
            ingested: Timestamp::from_nanos((seconds + 600) * 1_000_000_000 + seconds % 2),
            source,
            position: Position {
                topic: "t".into(),
                partition: 0,
                offset: 0,
                index: 0,
            },
            fields,
            native: Native::NONE,
            raw: raw.into(),
        }
    }

    #[test]
    fn counts_come_back_from_the_tags() {
        let mut counts = SourceCounts::default();
        let bare = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","verb":"get"}"#;
        for event in [
            event(Source::KubernetesAudit, 7, bare, true),
            event(
                Source::KubernetesAudit,
                5,
                &bare.replace("Metadata", "RequestResponse"),
                false,
            ),
            event(Source::Auth, 6, bare, false),
        ] {
            counts.add(event.source.name(), &SourceCount::of(&event));
        }
        let audit = counts.0["kubernetes_audit"];
        assert_eq!(
            (audit.rows, audit.masked, audit.metadata_only, audit.late),
            (2, 1, 1, 2)
        );
        assert_eq!(
            (audit.first, audit.last),
            (Timestamp::from_seconds(5), Timestamp::from_seconds(7))
        );
        assert_eq!(
            (
                counts.0["auth"].rows,
                counts.0["auth"].metadata_only,
                counts.0["auth"].late
            ),
            (1, 0, 0)
        );
        let add = |tags| Add {
            path: "p".into(),
            partition_values: BTreeMap::new(),
            size: 1,
            modification_time: 0,
            data_change: true,
            stats: None,
            tags,
            deletion_vector: None,
        };
        assert_eq!(SourceCounts::of(&add(counts.tags())), Some(counts));
        assert_eq!(SourceCounts::of(&add(None)), None);
        let broken = [(TAG.to_owned(), Some(r#"{"auth":{"rows":-1}}"#.to_owned()))];
        assert_eq!(SourceCounts::of(&add(Some(broken.into()))), None);
    }
}
