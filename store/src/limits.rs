//! Every bound of this crate, with its unit and what happens when it is reached.

use std::time::Duration;

/// Longest query text, in bytes. A longer one is refused.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Deepest nesting of parentheses and negations in a query. A deeper one is refused.
pub const MAX_QUERY_DEPTH: usize = 64;

/// Most terms in a query. One with more is refused.
pub const MAX_QUERY_TERMS: usize = 1_024;

/// Most regular expressions in a query: each may take [`MAX_REGEX_BYTES`], and as much again for what it has seen. A query
/// with more is refused.
pub const MAX_QUERY_EXPRESSIONS: usize = 64;

/// Deepest nesting of groups in a regular expression. A deeper one is refused.
pub const MAX_REGEX_DEPTH: u32 = 64;

/// Largest compiled regular expression, in bytes. A larger one is refused.
pub const MAX_REGEX_BYTES: usize = 1 << 20;

/// Most dictionary terms that one wildcard, range or regular expression may stand for in one file's index. Beyond it the
/// index is not asked: the file's rows are read one by one, so the answer stays the same.
pub const MAX_EXPANDED_TERMS: usize = 65_536;

/// Longest token of the index, in bytes; a longer word is indexed by its beginning, and found words are verified.
pub const MAX_TOKEN_BYTES: usize = 64;

/// Longest field value in the index, in bytes; a longer value is indexed by its beginning, and found rows are verified.
pub const MAX_KEYWORD_BYTES: usize = 160;

/// Most JSON keys that a file's index remembers as keys; the words of further ones are indexed like any other.
pub const MAX_KEY_WORDS: usize = 8_192;

/// Most tokens that the index takes from one record; a record with more is a candidate of every query.
pub const MAX_ROW_TOKENS: usize = 200_000;

/// Largest index bundle that is opened, in bytes. The rows of a larger one are read one by one.
pub const MAX_BUNDLE_BYTES: u64 = 4 << 30;

/// Most rows of one data file. A commit with more of one date writes several files.
pub const MAX_FILE_ROWS: usize = 1 << 20;

/// Payloads of dead letters that are encoded at once, in bytes. More become several batches of the same file.
pub const MAX_LETTER_BATCH_BYTES: usize = 64 << 20;

/// Largest log entry that is read, in bytes. A larger one makes the table unreadable with a clear error.
pub const MAX_LOG_ENTRY_BYTES: u64 = 256 << 20;

/// Most attempts to place a commit while other writers land theirs; then the commit fails and may be tried again.
pub const MAX_COMMIT_ATTEMPTS: usize = 1_000;

/// Most rows that one search or SQL statement returns, whatever limit is asked for.
pub const MAX_ANSWER_ROWS: usize = 1_000_000;

/// Most alert ids named in the error about an ambiguous prefix.
pub const MAX_AMBIGUOUS_IDS: usize = 10;

/// Longest SQL statement, in bytes.
pub const MAX_SQL_BYTES: usize = 64 * 1024;

/// Memory that a SQL statement may take where nothing else is said, in bytes. One that needs more is stopped.
pub const DEFAULT_SQL_MEMORY_BYTES: usize = 1 << 30;

/// Time that a SQL statement may take where nothing else is said. One that takes longer is stopped.
pub const DEFAULT_SQL_TIME: Duration = Duration::from_secs(300);

/// Most bytes that one SQL statement writes to temporary files, for what it sorts or groups. One that needs more fails.
pub const MAX_SQL_SPILL_BYTES: u64 = 8 << 30;

/// Stack of a thread that carries out SQL, in bytes: a statement of [`MAX_SQL_BYTES`] may be as deep as it is long. Only what
/// is used of it is memory.
pub const SQL_STACK_BYTES: usize = 256 << 20;

/// Largest part of a correlation state snapshot, in bytes. A larger one is refused, and so is its commit.
pub const MAX_STATE_PART_BYTES: usize = 1 << 30;

/// Most groups that a tally reports; events of further ones are counted together.
pub const MAX_TALLY_GROUPS: usize = 1_000_000;

/// Most combinations of values that one event is counted by, where several fields are counted by that have several values each.
pub const MAX_TALLY_COMBINATIONS: usize = 64;

/// Most files of dead letters, the newest, of which an answer says what it lacks by topic and reason; the letters of further ones
/// are counted together.
pub const MAX_COVERAGE_FILES: usize = 64;

/// Most rows of one file of matches, windows or bindings. A commit with more of one date writes several files.
pub const MAX_KEPT_FILE_ROWS: usize = 128 * 1024;

/// Bytes of texts of one such file, after which a commit begins another: a column of texts holds 2 GiB at most.
pub const MAX_KEPT_FILE_BYTES: usize = 256 << 20;

/// Most windows or bindings of one answer; one with more is refused.
pub const MAX_KEPT_ROWS: usize = 1_000_000;

/// Days that two revisions of one alert may lie apart: a rule's `timespan` is 366 days at most, and a day is added for the
/// rounding of dates.
pub const MAX_ALERT_SPAN_DAYS: u16 = 367;

/// Memory for the footers of files that are asked again and again, in bytes; those that were read first make room.
pub const MAX_FOOTER_CACHE_BYTES: usize = 32 << 20;

/// Longest name of a hold, in bytes. A longer one is refused.
pub const MAX_HOLD_NAME_BYTES: usize = 64;

/// Longest reason of a hold, in bytes. A longer one is refused.
pub const MAX_HOLD_REASON_BYTES: usize = 512;

/// Most holds at a time. One more is refused.
pub const MAX_HOLDS: usize = 1_000;
