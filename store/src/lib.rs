//! The store: events, alerts and dead letters as Delta tables, an index beside every file of events, and the ways to ask.
//!
//! ```text
//! EventsCommit ─write─▶ Parquet + index bundles ─commit─▶ events table      ─search─▶ SearchAnswer
//!              └──────▶ Parquet                 ─commit─▶ dead_letters table ─sql───▶ SqlAnswer
//! AlertsCommit ───────▶ Parquet + state files   ─commit─▶ alerts table       ─alerts▶ Alert
//! KeptCommit ─────────▶ Parquet                 ─commit─▶ signals, bindings   ─by key─▶ Signal, DecidedWindow, Binding
//! ```
//!
//! A commit is one entry of a Delta log: its data and the next offsets of the partitions it came from are in the table
//! together or not at all. `docs/storage.md` describes what is on disk, `docs/query-language.md` what can be asked.
//!
//! No type of arrow, parquet, datafusion, object_store or tantivy is part of this crate's interface.

mod alerts;
mod care;
mod commit;
mod config;
mod coverage;
mod decode;
mod error;
mod events_file;
mod export;
mod index;
mod kept;
pub mod limits;
mod location;
mod object_reader;
mod query;
mod read_to_end;
mod record_batch;
mod scan;
mod schema;
mod sql;
mod state;
mod store;
mod table;
mod write;

pub use alerts::{AlertFilter, AlertsCommit};
pub use care::{
    CareProgress, Compacted, DateCounts, ExpireRequest, Expired, OnProgress, Problem, Rebuilt, SourceCounts,
    TableCounts, VacuumRequest, Vacuumed, Verified,
};
pub use commit::{Committed, EventsCommit, StagedFiles};
pub use config::*;
pub use coverage::{Coverage, DeadLetterCount, SourceCoverage};
pub use error::{CommitError, QueryError, StoreError};
pub use export::to_parquet;
pub use index::index_terms;
pub use kept::{KeptCommit, KeptCommitted, KeptSignals, KeySpan};
pub use query::{
    ALIASES, FieldAlias, FilesRead, Follow, SearchAnswer, SearchRequest, Tally, TallyBy, TallyRow, UnreadableFile,
    check_query, query_matches,
};
pub use read_to_end::{ReadToEnd, TopicCoverage};
pub use sql::{SqlAnswer, SqlLimits, resident_bytes};
pub use state::StatePart;
pub use store::{Store, TableStatus};
pub use table::TableName;
