//! Every bound of this crate, named once, with its unit and what happens when it is reached.

/// Longest rule file, in bytes. A longer one is refused whole (`yaml-limit`).
pub const MAX_RULE_FILE_BYTES: usize = 1 << 20;
/// Deepest nesting of YAML collections in a rule file. A deeper file is refused (`yaml-limit`).
pub const MAX_YAML_DEPTH: usize = 32;
/// Most YAML nodes in a rule file, aliases expanded. A larger file is refused (`yaml-limit`).
pub const MAX_YAML_NODES: usize = 100_000;
/// Most bytes of texts in a rule file, aliases expanded. A larger file is refused (`yaml-limit`).
pub const MAX_YAML_TEXT_BYTES: usize = 8 << 20;
/// Most keys in one YAML mapping. A larger mapping is refused (`yaml-limit`).
pub const MAX_YAML_KEYS: usize = 2_000;
/// Most rules in a set. Rules beyond it are refused (`too-many`).
pub const MAX_RULES: usize = 50_000;
/// Longest `condition`, in bytes. A longer one is refused (`bad-condition`).
pub const MAX_CONDITION_BYTES: usize = 16 << 10;
/// Deepest nesting of parentheses and `not` in a `condition`. A deeper one is refused (`bad-condition`).
pub const MAX_CONDITION_DEPTH: usize = 64;
/// Most values in the list of one field. A longer list is refused (`too-many`).
pub const MAX_VALUES_PER_ITEM: usize = 10_000;
/// Most bytes that placeholders make of the values of one field, together. More are refused (`too-many`).
pub const MAX_EXPANDED_BYTES: usize = 1 << 20;
/// Most filters in a set. More are refused (`too-many`).
pub const MAX_FILTERS: usize = 1_000;
/// Most fields for which one name of a mapping document stands. More are refused (`too-many`).
pub const MAX_MAPPED_FIELDS: usize = 16;
/// Longest text value or regular expression in a rule, in bytes. A longer one is refused (`bad-value`).
pub const MAX_VALUE_BYTES: usize = 16 << 10;
/// Most characters between two `*` of a text that has `?` among them: each character of an event's text costs a step for 64
/// of them. A longer one is refused (`bad-value`).
pub const MAX_WILDCARD_RUN_CHARS: usize = 1_024;
/// Most bytes of the texts that encodings and `windash` make of the values of one rule, together. More are refused
/// (`too-many`).
pub const MAX_SPELLED_BYTES: usize = 4 << 20;
/// Most bytes of the texts of one field that are looked for by the faster of two automata: its table has some hundred bytes
/// for each of them.
pub const MAX_TABLE_TEXT_BYTES: usize = 16 << 10;
/// Most texts of one field that may end at the same place of a value, before those that a value repeats are reported once.
pub const MAX_NESTED_TEXTS: usize = 16;
/// Most pairs of values of two fields that `fieldref` compares one by one; of more, all are looked for in one pass.
pub const MAX_COMPARED_PAIRS: usize = 256;
/// Largest compiled regular expression, in bytes. A larger one is refused (`regex-too-large`).
pub const MAX_REGEX_COMPILED_BYTES: usize = 4 << 20;
/// Deepest nesting of groups in a regular expression. A deeper one is refused (`bad-regex`).
pub const MAX_REGEX_DEPTH: u32 = 64;
/// Most spellings that `windash` makes of one value: four flags of five dashes each. Beyond it, the value is refused.
pub const MAX_WINDASH_VARIANTS: usize = 625;
/// Most rules that one correlation names. More are refused (`too-many`).
pub const MAX_CORRELATION_MEMBERS: usize = 32;
/// Most correlations that build on one another: one of correlations of correlations has depth 3. More are refused
/// (`bad-chain`).
pub const MAX_CHAIN_DEPTH: usize = 8;
/// Most spans that a `deviation` looks back on. A longer history is refused (`bad-timespan`).
pub const MAX_DEVIATION_SPANS: i64 = 10_000;
/// Most fields of one `group-by`. More are refused (`too-many`).
pub const MAX_GROUP_BY_FIELDS: usize = 16;
/// Longest `timespan`, in seconds: 366 days. A longer one is refused (`bad-timespan`).
pub const MAX_TIMESPAN_SECONDS: i64 = 366 * 86_400;
/// Groups of a correlation that are written to disk in one go.
pub const MAX_SPILLED_AT_ONCE: usize = 4_096;
/// Bytes of a part of a snapshot, about: it ends with the group that reaches it.
pub const SNAPSHOT_PART_BYTES: usize = 4 << 20;
/// Most late matches of one key that are remembered to find out whether they came before. Beyond it, the key is repaired without.
pub const MAX_LATE_MATCHES_PER_KEY: usize = 16_384;
/// Most pairs of an identifier and a key of which it is remembered that the one attributed events of the other. Beyond it, the older
/// half is forgotten: what is learned late of those identifiers changes no group, and is counted.
pub const MAX_DEPENDENTS: usize = 100_000;
/// Late events of one key that a retraction may cite.
pub const MAX_LATE_CITED: usize = 16;
/// Most `tests` of one rule. More are refused (`too-many`).
pub const MAX_TESTS_PER_RULE: usize = 200;
/// Most events of one test. More are refused (`too-many`).
pub const MAX_EVENTS_PER_TEST: usize = 10_000;
/// Values of a field that an explanation shows.
pub const MAX_EXPLAINED_VALUES: usize = 8;
/// Bytes of each of them.
pub const MAX_EXPLAINED_VALUE_BYTES: usize = 256;

// A mask of members is 64 bits wide.
const _: () = assert!(MAX_CORRELATION_MEMBERS <= u64::BITS as usize);
