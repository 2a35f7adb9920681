//! A timeline as lines for people, and as rows for programs.

use casebook_event::Value;
use casebook_investigate::alerts::short_id;
use casebook_investigate::story::Line;
use casebook_investigate::timeline::{LineRecord, Timeline};

use super::wording;
use crate::output::answer::{Layout, Section};
use crate::output::rows::{Rows, count};

/// See [`Layout`].
pub struct TimelineLayout<'a>(pub &'a Timeline);

impl Layout for TimelineLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        vec![Section {
            rows: Some(line_rows(&self.0.lines)),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(LineRecord::COLUMNS);
        rows.rows = self
            .0
            .lines
            .iter()
            .map(|line| record_row(LineRecord::from(line)))
            .collect();
        rows
    }
}

/// The lines of a story for people.
pub fn line_rows(lines: &[Line]) -> Rows {
    let mut rows = Rows::new(&["time", "source", "id", "who", "from", "what"]);
    let text = |text: &str| Value::str(text);
    for line in lines {
        rows.rows.push(match line {
            Line::Events(group) => {
                let entry = &group.first;
                vec![
                    Value::from(wording::brief(entry.time)),
                    text(entry.source.name()),
                    text(&entry.id.to_string()[..12]),
                    text(&entry.who),
                    text(entry.from.as_deref().unwrap_or_default()),
                    Value::from(wording::what(group)),
                ]
            }
            Line::Alert(raised) => vec![
                Value::from(wording::brief(line.time())),
                text("ALERT"),
                text(short_id(&raised.first)),
                text(""),
                text(""),
                Value::from(wording::alert(raised)),
            ],
            Line::Gap(from, to) => {
                let mut cells = vec![text(""); 5];
                cells.push(Value::from(wording::gap(*from, *to)));
                cells
            }
        });
    }
    rows
}

fn record_row(record: LineRecord) -> Vec<Value> {
    let text = |text: Option<String>| text.map_or(Value::Null, Value::from);
    let word = |word: Option<&str>| word.map_or(Value::Null, Value::str);
    let flag = |flag: Option<bool>| flag.map_or(Value::Null, Value::Bool);
    vec![
        Value::str(record.line),
        Value::from(record.time.to_string()),
        Value::from(record.until.to_string()),
        count(record.count),
        word(record.source),
        text(record.id),
        text(record.last_id),
        word(record.level),
        text(record.who),
        text(record.from),
        text(record.action),
        text(record.kind),
        text(record.objects),
        text(record.outcome),
        text(record.detail),
        flag(record.routine),
        flag(record.cited),
    ]
}
