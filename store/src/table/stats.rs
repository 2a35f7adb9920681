//! Statistics of a data file in the Delta log: written by this store, and read to leave files out of a search.
//!
//! The form is that of the Delta protocol's "Per-file Statistics": a JSON text with `numRecords`, `minValues`,
//! `maxValues` and `nullCount`; times as RFC 3339 and texts cut short, downwards in a minimum and upwards in a maximum.

use std::collections::BTreeMap;

use casebook_event::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::action::Add;
use super::letter_counts::LetterCounts;
use super::source_counts::{SourceCount, SourceCounts};
use super::source_topics::SourceTopics;

/// Longest text in statistics, in characters.
const MAX_STATS_CHARS: usize = 32;

/// The columns that a table's files are pruned by: each table has one of them.
const TIME_COLUMNS: &[&str] = &["time", "ingested"];

/// The numbers that files are pruned by.
const NUMBER_COLUMNS: &[&str] = &["key", "to_key", "window_to"];

/// What the log says of a file's rows. An absent bound is unknown, so that the file must be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FileStats {
    pub rows: Option<u64>,
    pub min_time: Option<Timestamp>,
    pub max_time: Option<Timestamp>,
    /// Bounds of text columns, by column.
    texts: Vec<(String, String, String)>,
    /// Bounds of number columns, by column; none where no row has a number there.
    numbers: Vec<(&'static str, Option<(i64, i64)>)>,
    /// What it holds of each source. Absent in files of older versions.
    pub sources: Option<SourceCounts>,
    /// Which topics its rows came from. Absent in files of older versions.
    pub topics: Option<SourceTopics>,
    /// How many dead letters of each topic and reason it has. Absent in other tables, in files of older versions, and where they
    /// are too many.
    pub letters: Option<LetterCounts>,
}

impl FileStats {
    /// Reads the statistics of an add action; what cannot be read is unknown.
    pub fn of(add: &Add) -> Self {
        let Some(stats) = add
            .stats
            .as_deref()
            .and_then(|text| serde_json::from_str::<Json>(text).ok())
        else {
            return Self {
                sources: SourceCounts::of(add),
                topics: SourceTopics::of(add),
                letters: LetterCounts::of(add),
                ..Self::default()
            };
        };
        let bound = |side: &str, column: &str| stats.get(side)?.get(column)?.as_str().map(str::to_owned);
        let time = |side: &str| TIME_COLUMNS.iter().find_map(|column| bound(side, column));
        let mut texts = Vec::new();
        if let Some(Json::Object(columns)) = stats.get("minValues") {
            for column in columns.keys().filter(|column| !TIME_COLUMNS.contains(&column.as_str())) {
                if let (Some(min), Some(max)) = (bound("minValues", column), bound("maxValues", column)) {
                    texts.push((column.clone(), min, max));
                }
            }
        }
        let rows = stats.get("numRecords").and_then(Json::as_u64);
        let numbers = NUMBER_COLUMNS.iter().filter_map(|&column| {
            let bound = |side: &str| stats.get(side)?.get(column)?.as_i64();
            let nulls = stats.get("nullCount").and_then(|nulls| nulls.get(column)?.as_u64());
            match bound("minValues").zip(bound("maxValues")) {
                Some(bounds) => Some((column, Some(bounds))),
                None => (nulls.is_some() && nulls == rows).then_some((column, None)),
            }
        });
        Self {
            rows,
            numbers: numbers.collect(),
            min_time: time("minValues").and_then(|text| Timestamp::parse_rfc3339(&text)),
            // A writer may have cut the time to whole milliseconds.
            max_time: time("maxValues")
                .and_then(|text| Timestamp::parse_rfc3339(&text))
                .map(|time| time.saturating_add_nanos(999_999)),
            texts,
            sources: SourceCounts::of(add),
            topics: SourceTopics::of(add),
            letters: LetterCounts::of(add),
        }
    }

    /// Whether a row with a time from `from` (inclusive) to `to` (exclusive) may be in the file.
    pub fn may_hold_time(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        from.is_none_or(|from| self.max_time.is_none_or(|max| max >= from))
            && to.is_none_or(|to| self.min_time.is_none_or(|min| min < to))
    }

    /// Whether every row has a time in that range.
    pub fn is_within(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        from.is_none_or(|from| self.min_time.is_some_and(|min| min >= from))
            && to.is_none_or(|to| self.max_time.is_some_and(|max| max < to))
    }

    /// The text columns that have bounds.
    pub fn bounded_columns(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(name, _, _)| name.as_str())
    }

    /// The one text that every row has in `column`, where the bounds say so. A text that was cut short is none.
    pub fn only_text(&self, column: &str) -> Option<&str> {
        let (_, min, max) = self.texts.iter().find(|(name, _, _)| name == column)?;
        (min == max).then_some(min)
    }

    /// Whether a row of the file may hold a text that begins with `prefix` in `column`.
    pub fn may_begin(&self, column: &str, prefix: &str) -> bool {
        self.texts
            .iter()
            .find(|(name, _, _)| name == column)
            .is_none_or(|(_, min, max)| {
                let low = &min[..min.floor_char_boundary(prefix.len().min(min.len()))];
                low <= prefix && prefix <= max.as_str()
            })
    }

    /// Whether a row of the file may hold a number from `from` to `to` (both inclusive) in `column`.
    pub fn may_hold_number(&self, column: &str, from: i64, to: i64) -> bool {
        match self.numbers.iter().find(|(name, _)| *name == column) {
            None => true,
            Some((_, bounds)) => bounds.is_some_and(|(min, max)| min <= to && max >= from),
        }
    }

    /// Whether a row of the file may hold `text` in `column`.
    pub fn may_hold(&self, column: &str, text: &str) -> bool {
        self.texts
            .iter()
            .find(|(name, _, _)| name == column)
            .is_none_or(|(_, min, max)| min.as_str() <= text && text <= max.as_str())
    }
}

/// Collects the statistics of the rows that go into one file.
#[derive(Debug)]
pub(crate) struct StatsBuilder {
    time_column: &'static str,
    rows: u64,
    time: Option<(Timestamp, Timestamp)>,
    texts: Vec<TextBounds>,
    numbers: Vec<NumberBounds>,
    sources: SourceCounts,
    letters: LetterCounts,
}

#[derive(Debug)]
struct NumberBounds {
    column: &'static str,
    bounds: Option<(i64, i64)>,
    present: u64,
}

#[derive(Debug)]
struct TextBounds {
    column: &'static str,
    bounds: Option<(String, String)>,
    present: u64,
}

impl StatsBuilder {
    /// Statistics of no rows yet. `time_column` is the column that the times of [`StatsBuilder::row`] are in.
    pub fn new(time_column: &'static str) -> Self {
        Self {
            time_column,
            rows: 0,
            time: None,
            texts: Vec::new(),
            numbers: Vec::new(),
            sources: SourceCounts::default(),
            letters: LetterCounts::default(),
        }
    }

    /// Counts a row.
    pub fn row(&mut self, time: Timestamp) {
        self.rows += 1;
        let (min, max) = self.time.unwrap_or((time, time));
        self.time = Some((min.min(time), max.max(time)));
    }

    /// Notes a text of the row counted last.
    pub fn text(&mut self, column: &'static str, value: &str) {
        let at = match self.texts.iter().position(|text| text.column == column) {
            Some(at) => at,
            None => {
                self.texts.push(TextBounds {
                    column,
                    bounds: None,
                    present: 0,
                });
                self.texts.len() - 1
            }
        };
        let entry = &mut self.texts[at];
        entry.present += 1;
        match &mut entry.bounds {
            None => entry.bounds = Some((value.to_owned(), value.to_owned())),
            Some((min, max)) => {
                if value < min.as_str() {
                    value.clone_into(min);
                } else if value > max.as_str() {
                    value.clone_into(max);
                }
            }
        }
    }

    /// Notes a number of the row counted last.
    pub fn number(&mut self, column: &'static str, value: i64) {
        self.numbers_of(column, Some((value, value)), 1);
    }

    /// Notes the bounds of `present` numbers of a column; there may be none.
    pub fn numbers_of(&mut self, column: &'static str, new: Option<(i64, i64)>, present: u64) {
        let Some(known) = self.numbers.iter_mut().find(|known| known.column == column) else {
            self.numbers.push(NumberBounds {
                column,
                bounds: new,
                present,
            });
            return;
        };
        known.present += present;
        known.bounds = match (known.bounds, new) {
            (Some((min, max)), Some((low, high))) => Some((min.min(low), max.max(high))),
            (known, new) => known.or(new),
        };
    }

    /// Notes what the row counted last is of its source.
    pub fn source(&mut self, source: &str, count: &SourceCount) {
        self.sources.add(source, count);
    }

    /// Notes dead letters by topic and reason.
    pub fn letters(&mut self, counts: &LetterCounts) {
        self.letters.join(counts);
    }

    /// The tags of the add action.
    pub fn tags(&self) -> Option<BTreeMap<String, Option<String>>> {
        let mut tags = self.sources.tags();
        if let Some((name, text)) = self.letters.tag() {
            tags.get_or_insert_default().insert(name, Some(text));
        }
        tags
    }

    /// The JSON text for the add action.
    pub fn finish(self) -> String {
        let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
        if let Some((first, last)) = self.time {
            min.insert(self.time_column.into(), json!(micros_text(first, false)));
            max.insert(self.time_column.into(), json!(micros_text(last, true)));
            nulls.insert(self.time_column.into(), json!(0));
        }
        for NumberBounds {
            column,
            bounds,
            present,
        } in self.numbers
        {
            nulls.insert(column.into(), json!(self.rows.saturating_sub(present)));
            if let Some((low, high)) = bounds {
                min.insert(column.into(), json!(low));
                max.insert(column.into(), json!(high));
            }
        }
        for TextBounds {
            column,
            bounds,
            present,
        } in self.texts
        {
            nulls.insert(column.into(), json!(self.rows - present));
            let Some((low, high)) = bounds else { continue };
            // Without an upper bound a lower one would be misread, so both are left out together.
            if let Some(high) = cut_up(&high) {
                min.insert(column.into(), json!(cut(&low)));
                max.insert(column.into(), json!(high));
            }
        }
        json!({"numRecords": self.rows, "minValues": min, "maxValues": max, "nullCount": nulls}).to_string()
    }
}

fn micros_text(time: Timestamp, up: bool) -> String {
    let micros = time.as_nanos().div_euclid(1_000);
    // The column holds whole microseconds, rounded down; the bound is over the nanoseconds beside it as well.
    let micros = micros + i64::from(up && time.as_nanos().rem_euclid(1_000) != 0);
    Timestamp::from_nanos(micros.saturating_mul(1_000)).to_string()
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_STATS_CHARS)
        .map_or(text, |(end, _)| &text[..end])
}

/// A text that is not less than any text with the same beginning. `None` where there is none.
fn cut_up(text: &str) -> Option<String> {
    let head = cut(text);
    if head.len() == text.len() {
        return Some(text.to_owned());
    }
    let mut chars: Vec<char> = head.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(stats: String) -> Add {
        Add {
            path: String::new(),
            partition_values: Default::default(),
            size: 0,
            modification_time: 0,
            data_change: true,
            stats: Some(stats),
            tags: None,
            deletion_vector: None,
        }
    }

    #[test]
    fn long_texts_are_bounded_from_both_sides() {
        let long = "x".repeat(100);
        let mut builder = StatsBuilder::new("time");
        builder.row(Timestamp::from_nanos(1_500));
        builder.text("user_name", &long);
        let stats = FileStats::of(&add(builder.finish()));
        assert_eq!(stats.rows, Some(1));
        assert!(stats.may_hold("user_name", &long));
        assert!(!stats.may_hold("user_name", "y0"));
        assert!(!stats.may_hold("user_name", "x"));
        assert!(stats.may_hold("other", "anything"));
        assert!(stats.may_hold_time(Some(Timestamp::from_nanos(1_500)), None));
        assert!(!stats.may_hold_time(None, Some(Timestamp::from_nanos(1_000))));
    }

    #[test]
    fn numbers_have_bounds_where_there_are_any() {
        let mut builder = StatsBuilder::new("time");
        for _ in 0..3 {
            builder.row(Timestamp::from_seconds(0));
        }
        builder.numbers_of("key", Some((i64::MIN, -5)), 2);
        builder.number("key", 7);
        builder.numbers_of("window_to", None, 0);
        let stats = FileStats::of(&add(builder.finish()));
        let check = |column: &str, from: i64, to: i64, want: bool| {
            assert_eq!(stats.may_hold_number(column, from, to), want, "{column} {from} {to}");
        };
        check("key", i64::MIN, i64::MIN, true);
        check("key", 7, i64::MAX, true);
        check("key", 8, i64::MAX, false);
        check("window_to", i64::MIN, i64::MAX, false);
        check("to_key", 0, 0, true);
        assert!(FileStats::of(&add("{}".into())).may_hold_number("key", 0, 0));
    }

    proptest::proptest! {
        #[test]
        fn bounds_hold_every_value(values in proptest::collection::vec("\\PC{0,40}", 1..8)) {
            let mut builder = StatsBuilder::new("time");
            for value in &values {
                builder.row(Timestamp::from_nanos(0));
                builder.text("c", value);
            }
            let stats = FileStats::of(&add(builder.finish()));
            for value in &values {
                proptest::prop_assert!(stats.may_hold("c", value));
            }
        }

        #[test]
        fn times_are_within_their_bounds(nanos in proptest::num::i64::ANY) {
            let time = Timestamp::from_nanos(nanos.clamp(i64::MIN / 2, i64::MAX / 2));
            let mut builder = StatsBuilder::new("time");
            builder.row(time);
            let stats = FileStats::of(&add(builder.finish()));
            proptest::prop_assert!(stats.may_hold_time(Some(time), None));
            proptest::prop_assert!(stats.may_hold_time(None, Some(time.saturating_add_nanos(1))));
        }
    }
}
