//! Alerts as a list, one with its evidence, and the events that it cites.

use std::io::Write;

use anyhow::Result;
use casebook_event::{Alert, Event, Retraction, Value};
use casebook_investigate::alerts::{AlertList, CitedEvents, short_id, sources};
use casebook_investigate::story::{Entry, Line, story_lines};

use super::timeline::line_rows;
use crate::output::answer::{Layout, Section};
use crate::output::escaping::escape;
use crate::output::json_format;
use crate::output::rows::{Rows, count};

/// See [`Layout`].
pub struct AlertListLayout<'a>(pub &'a AlertList);

impl Layout for AlertListLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        vec![Section {
            rows: Some(self.rows()),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        list_rows(&self.0.alerts)
    }

    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        self.0
            .alerts
            .iter()
            .try_for_each(|alert| json_format::write_line(alert, out))
    }
}

/// The alerts as rows for a table.
pub fn list_rows(alerts: &[Alert]) -> Rows {
    let mut rows = Rows::new(&["id", "level", "time", "status", "events", "sources", "group", "rule"]);
    for alert in alerts {
        let group: Vec<String> = alert
            .group
            .iter()
            .map(|(field, value)| format!("{field}={value}"))
            .collect();
        rows.rows.push(vec![
            Value::str(short_id(alert)),
            Value::str(alert.rule.level.name()),
            Value::from(alert.alert.time.to_string()),
            Value::from(format!("{:?}", alert.alert.status).to_lowercase()),
            count(alert.evidence_total),
            Value::from(sources(alert).join(",")),
            Value::from(group.join(" ")),
            Value::str(&alert.rule.name),
        ]);
    }
    rows
}

/// See [`Layout`].
pub struct AlertLayout<'a>(pub &'a Alert);

impl Layout for AlertLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        vec![Section {
            heading: head(self.0),
            rows: Some(self.rows()),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(&["time", "source", "event_id", "position", "rule_id", "entities"]);
        for evidence in &self.0.evidence {
            let entities: Vec<String> = evidence
                .entities
                .iter()
                .map(|(field, value)| format!("{field}={value}"))
                .collect();
            rows.rows.push(vec![
                Value::from(evidence.time.to_string()),
                Value::str(evidence.source.name()),
                Value::from(evidence.event_id.to_string()),
                Value::from(evidence.position.to_string()),
                Value::str(&evidence.rule_id),
                Value::from(entities.join(" ")),
            ]);
        }
        rows
    }

    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        json_format::write_line(self.0, out)
    }
}

/// What stands above the evidence.
fn head(alert: &Alert) -> String {
    let (head, rule) = (&alert.alert, &alert.rule);
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(&escape(line));
        text.push('\n');
    };
    line(&format!("{} ({})", rule.name, rule.level));
    line(&format!(
        "alert    {} revision {} ({:?})",
        head.id, head.revision, head.status
    ));
    line(&format!("rule     {} {} version {}", rule.id, rule.kind, rule.version));
    line(&format!(
        "time     {} (events from {} to {})",
        head.time, alert.window.from, alert.window.to
    ));
    if let Some(retraction) = &alert.retraction {
        retraction_lines(retraction).iter().for_each(|one| line(one));
    }
    for (field, value) in &alert.group {
        line(&format!("group    {field} = {value}"));
    }
    if !rule.tags.is_empty() {
        line(&format!("tags     {}", rule.tags.join(" ")));
    }
    for (n, step) in rule.response.iter().enumerate() {
        line(&format!("{:8} {}. {step}", if n == 0 { "to do" } else { "" }, n + 1));
    }
    let all = alert.evidence.len() as u64 == alert.evidence_total;
    let which = if all { "" } else { ", the first of them" };
    line(&format!("evidence {} events{which}", alert.evidence_total));
    text.push('\n');
    text
}

/// What withdrew a final alert, and who can have written it.
fn retraction_lines(retraction: &Retraction) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(event) = &retraction.event {
        let (id, source, time, position) = (&event.event_id, event.source, event.time, &event.position);
        lines.push(format!(
            "retracted by event {id} of {source} at {time} ({position}), which came late"
        ));
    }
    if let Some(learned) = &retraction.learned {
        let (from, to, time) = (&learned.from, &learned.to, learned.time);
        let what = match (learned.ends, from == to) {
            (true, true) => format!("that {from} ended at {time}"),
            (true, false) => format!("that {from} was {to} no more at {time}"),
            (false, _) => format!("that {from} was {to} at {time}"),
        };
        let (how, confidence) = (learned.how, learned.confidence);
        lines.push(format!(
            "retracted by what was learned late: {what} ({how:?}, {confidence:?})"
        ));
    }
    let by = &retraction.time_written_by;
    lines.push(format!(
        "         its time can be written by: {by}; look at both before you believe either"
    ));
    lines
}

/// See [`Layout`].
pub struct CitedLayout<'a>(pub &'a CitedEvents);

impl Layout for CitedLayout<'_> {
    fn sections(&self) -> Vec<Section> {
        let entries = self.0.events.iter().map(Entry::of).collect();
        let lines: Vec<Line> = story_lines(entries, Vec::new(), true)
            .into_iter()
            .filter(|line| matches!(line, Line::Events(_)))
            .collect();
        vec![Section {
            rows: Some(line_rows(&lines)),
            ..Section::default()
        }]
    }

    fn rows(&self) -> Rows {
        let cited = &self.0.alert.evidence;
        let rule = |event: &Event| {
            let evidence = cited.iter().find(|evidence| evidence.event_id == event.id);
            evidence.map_or(Value::Null, |evidence| Value::str(&evidence.rule_id))
        };
        let mut rows = Rows::new(&[
            "time", "source", "event_id", "position", "rule_id", "who", "from", "raw",
        ]);
        for event in &self.0.events {
            let entry = Entry::of(event);
            rows.rows.push(vec![
                Value::from(event.time.to_string()),
                Value::str(event.source.name()),
                Value::from(event.id.to_string()),
                Value::from(event.position.to_string()),
                rule(event),
                Value::from(entry.who),
                entry.from.map_or(Value::Null, Value::from),
                Value::str(&event.raw),
            ]);
        }
        rows
    }

    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        self.0
            .events
            .iter()
            .try_for_each(|event| json_format::write_line(&event.to_ecs(), out))
    }
}
