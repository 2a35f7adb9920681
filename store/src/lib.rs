//! The store: events, alerts and dead letters as Delta tables, an index beside every file of events, and the ways to ask.
//!
//! ```text
//! EventsCommit ─▶ commit ─▶ Parquet + index bundles ─▶ events table      ─▶ query ─▶ SearchAnswer, Tally
//!                      └──▶ Parquet                 ─▶ dead_letters table ─▶ sql  ─▶ SqlAnswer
//! AlertsCommit ─▶ alerts ─▶ Parquet + state files   ─▶ alerts table       ─▶ alerts ─▶ Alert
//! KeptCommit ───▶ kept ───▶ Parquet                 ─▶ signals, bindings   ─▶ kept ─▶ Signal, DecidedWindow, Binding
//! ```
//!
//! The rooms, each of which imports only those below it:
//!
//! ```text
//! store                            the face: hands each request to a room
//! maintenance                      fewer files, an end for what is old, the proof that nothing is wrong
//! alerts    coverage    sql        alerts and correlation state; what is known; SQL
//! hold                             spans of time of which nothing expires
//! kept      query                  what correlation keeps; the query language
//! commit                           events, dead letters, offsets
//! derived                          tables that can be made again: versions, cuts, bases
//! tables                           the opened tables, with place, configuration, caches
//! data_file    index               the formats, writer and reader side by side
//! table                            the Delta log
//! schema, location, row_set, …     the ground: knows nothing of the others
//! ```
//!
//! A commit is one entry of a Delta log: its data and the next offsets of the partitions it came from are in the table
//! together or not at all. `docs/storage.md` describes what is on disk, `docs/query-language.md` what can be asked.
//!
//! No type of arrow, parquet, datafusion, object_store or tantivy is part of this crate's interface.

mod alerts;
mod clock;
mod commit;
mod config;
mod coverage;
mod data_file;
mod derived;
mod error;
mod fault;
mod hold;
mod index;
mod kept;
pub mod limits;
mod location;
mod maintenance;
mod query;
mod row_set;
mod schema;
mod sql;
mod store;
mod table;
mod table_name;
mod tables;

pub use alerts::{AlertFilter, AlertsCommit, StatePart};
pub use commit::{Committed, EventsCommit, PreparedFiles, ReadToEnd, TopicCoverage};
pub use config::*;
pub use coverage::{Coverage, DeadLetterCount, SourceCoverage};
pub use data_file::to_parquet;
pub use error::{CommitError, QueryError, StoreError};
pub use hold::Hold;
pub use index::index_terms;
pub use kept::{KeptCommit, KeptCommitted, KeptSignals, KeySpan, NeededBindings};
pub use maintenance::{
    Compacted, DateCounts, Derive, ExpireRequest, Expired, KeptRebuilt, MaintenanceProgress, OnProgress, Problem,
    Rebuilt, SourceCounts, TableCounts, VacuumRequest, Vacuumed, Verified,
};
pub use query::{
    ALIASES, FieldAlias, FilesRead, Follow, SearchAnswer, SearchRequest, Tally, TallyBy, TallyRow, UnreadableFile,
    check_query, query_matches,
};
pub use sql::{SqlAnswer, SqlLimits, resident_bytes};
pub use store::{Store, TableStatus};
pub use table_name::TableName;
