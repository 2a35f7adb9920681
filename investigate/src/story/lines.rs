//! Events and alerts as one ordered story: what is alike is one line, and a silence is a line too.

use std::collections::HashMap;

use casebook_event::{Alert, EventId, Timestamp};

use super::entry::Entry;

const MINUTE: i64 = 60 * 1_000_000_000;
/// No silence that is shorter is a line.
const MIN_GAP_NANOS: i64 = 10 * MINUTE;
/// So many times the median distance of two events is a silence.
const GAP_MEDIANS: i64 = 10;
/// A routine that was silent for so long begins anew.
const ROUTINE_ENDS_NANOS: i64 = 60 * MINUTE;
/// Objects of a group that are named.
pub const MAX_OBJECTS: usize = 3;

/// Events that are one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The first of them.
    pub first: Entry,
    /// When the last of them happened.
    pub last: Timestamp,
    /// The last one's identity.
    pub last_id: EventId,
    /// How many they are.
    pub count: u64,
    /// The first objects, each once.
    pub objects: Vec<String>,
    /// How many further objects there are; repetitions of one among them are counted each.
    pub more_objects: u64,
}

impl Group {
    fn new(first: Entry) -> Self {
        Self {
            last: first.time,
            last_id: first.id,
            count: 1,
            objects: first.object.iter().cloned().collect(),
            more_objects: 0,
            first,
        }
    }

    fn add(&mut self, entry: Entry) {
        self.last = self.last.max(entry.time);
        self.last_id = entry.id;
        self.count += 1;
        let Some(object) = entry.object else { return };
        if self.objects.contains(&object) {
            return;
        }
        if self.objects.len() < MAX_OBJECTS {
            self.objects.push(object);
        } else {
            self.more_objects += 1;
        }
    }
}

impl Group {
    /// The objects, the first by name.
    pub fn named_objects(&self) -> String {
        let mut named = self.objects.join(", ");
        if self.more_objects > 0 {
            named.push_str(", …");
        }
        named
    }
}

/// Alerts of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// The first of them.
    pub first: Alert,
    /// The time of the last of them.
    pub last: Timestamp,
    /// How many they are.
    pub count: u64,
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// One event, or several that are alike.
    Events(Box<Group>),
    /// An alert, or several of one rule about the same group.
    Alert(Box<Raised>),
    /// No event between these times.
    Gap(Timestamp, Timestamp),
}

impl Line {
    /// When it begins.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Events(group) => group.first.time,
            Self::Alert(raised) => raised.first.alert.time,
            Self::Gap(from, _) => *from,
        }
    }
}

/// The lines of the story. With `all` every event is a line of its own.
pub fn story_lines(mut entries: Vec<Entry>, alerts: Vec<Alert>, all: bool) -> Vec<Line> {
    entries.sort_by_key(|entry| (entry.time, entry.id));
    entries.dedup_by_key(|entry| entry.id);
    let gaps = gaps(&entries);
    let groups = if all {
        entries.into_iter().map(Group::new).collect()
    } else {
        grouped(entries)
    };
    let mut story: Vec<Line> = groups.into_iter().map(|group| Line::Events(Box::new(group))).collect();
    story.extend(
        raised(alerts, all)
            .into_iter()
            .map(|raised| Line::Alert(Box::new(raised))),
    );
    // An alert comes after the event that raised it, and a silence before the event that ended it.
    let rank = |line: &Line| match line {
        Line::Events(_) => 0,
        Line::Alert(_) => 1,
        Line::Gap(..) => 2,
    };
    story.extend(gaps.into_iter().map(|(from, to)| Line::Gap(from, to)));
    // Of the alerts of one moment, the gravest stands first.
    let level = |line: &Line| match line {
        Line::Alert(raised) => Some(std::cmp::Reverse(raised.first.rule.level)),
        _ => None,
    };
    story.sort_by_key(|line| (line.time(), rank(line), level(line)));
    story
}

/// Alerts in order of time; those of one rule about one group become one.
fn raised(mut alerts: Vec<Alert>, all: bool) -> Vec<Raised> {
    alerts.sort_by(|a, b| (a.alert.time, &a.alert.id).cmp(&(b.alert.time, &b.alert.id)));
    let mut known: Vec<Raised> = Vec::new();
    for alert in alerts {
        let same = |raised: &&mut Raised| raised.first.rule.id == alert.rule.id && raised.first.group == alert.group;
        match known.iter_mut().find(same).filter(|_| !all) {
            Some(raised) => {
                raised.last = alert.alert.time;
                raised.count += 1;
            }
            None => known.push(Raised {
                last: alert.alert.time,
                count: 1,
                first: alert,
            }),
        }
    }
    known
}

/// Consecutive events of a source with one key become one; routine ones also where others stand between them.
fn grouped(entries: Vec<Entry>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut latest: HashMap<&'static str, usize> = HashMap::new();
    let mut routines: HashMap<String, usize> = HashMap::new();
    for entry in entries {
        let source = entry.source.name();
        let open = if entry.routine {
            let silent_since = |group: &Group| entry.time.as_nanos().saturating_sub(group.last.as_nanos());
            let open = routines.get(&entry.key).copied();
            open.filter(|at| {
                groups
                    .get(*at)
                    .is_some_and(|group| silent_since(group) <= ROUTINE_ENDS_NANOS)
            })
        } else {
            latest.get(source).copied()
        };
        let alike = |group: &Group| group.first.key == entry.key && group.first.cited == entry.cited;
        match open.and_then(|at| groups.get_mut(at)).filter(|group| alike(group)) {
            Some(group) => group.add(entry),
            None => {
                if entry.routine {
                    routines.insert(entry.key.clone(), groups.len());
                } else {
                    latest.insert(source, groups.len());
                }
                groups.push(Group::new(entry));
            }
        }
    }
    groups
}

/// The silences between events in order of time.
fn gaps(entries: &[Entry]) -> Vec<(Timestamp, Timestamp)> {
    let distance = |a: &Entry, b: &Entry| b.time.as_nanos().saturating_sub(a.time.as_nanos());
    let pairs = || entries.iter().zip(entries.iter().skip(1));
    let mut distances: Vec<i64> = pairs().map(|(a, b)| distance(a, b)).collect();
    if distances.is_empty() {
        return Vec::new();
    }
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable(middle);
    let threshold = median.saturating_mul(GAP_MEDIANS).max(MIN_GAP_NANOS);
    pairs()
        .filter(|(a, b)| distance(a, b) > threshold)
        .map(|(a, b)| (a.time, b.time))
        .collect()
}

#[cfg(test)]
mod tests {
    use casebook_event::{FieldId, Source};

    use super::*;
    use crate::testing::event;

    fn audit(seconds: i64, user: &str, verb: &str, object: &str) -> Entry {
        Entry::of(&event(
            Source::KubernetesAudit,
            seconds,
            &[
                (FieldId::UserName, user),
                (FieldId::EventAction, verb),
                (FieldId::OrchestratorResourceType, "secrets"),
                (FieldId::OrchestratorResourceName, object),
            ],
        ))
    }

    fn pods(seconds: i64) -> Entry {
        Entry::of(&event(
            Source::KubernetesAudit,
            seconds,
            &[
                (FieldId::UserName, "system:kube-scheduler"),
                (FieldId::EventAction, "list"),
                (FieldId::OrchestratorResourceType, "pods"),
            ],
        ))
    }

    fn shown(lines: &[Line]) -> Vec<String> {
        let seconds = |time: Timestamp| time.as_nanos() / 1_000_000_000;
        lines
            .iter()
            .map(|line| match line {
                Line::Events(group) => format!(
                    "{}-{} ×{} {} {}",
                    seconds(group.first.time),
                    seconds(group.last),
                    group.count,
                    group.first.who,
                    group.objects.join(",")
                ),
                Line::Alert(raised) => format!("alert {} ×{}", raised.first.alert.id, raised.count),
                Line::Gap(from, to) => format!("gap {}-{}", seconds(*from), seconds(*to)),
            })
            .collect()
    }

    #[test]
    fn what_is_alike_and_consecutive_is_one_line() {
        let entries = vec![
            audit(3, "a", "get", "z"),
            audit(1, "a", "get", "x"),
            audit(2, "a", "get", "y"),
            audit(4, "b", "get", "x"),
            audit(5, "a", "get", "x"),
            audit(5, "a", "get", "x"),
        ];
        let lines = story_lines(entries.clone(), Vec::new(), false);
        assert_eq!(shown(&lines), ["1-3 ×3 a x,y,z", "4-4 ×1 b x", "5-5 ×1 a x"]);
        assert_eq!(
            story_lines(entries, Vec::new(), true).len(),
            5,
            "one event was there twice"
        );
    }

    #[test]
    fn routine_is_folded_where_others_stand_between() {
        let entries = vec![
            pods(1),
            audit(2, "a", "get", "x"),
            pods(3),
            audit(4, "a", "get", "y"),
            pods(5),
        ];
        let lines = story_lines(entries, Vec::new(), false);
        assert_eq!(shown(&lines), ["1-5 ×3 system:kube-scheduler ", "2-4 ×2 a x,y"]);
        let lines = story_lines(vec![pods(1), pods(3_602)], Vec::new(), false);
        assert_eq!(lines.len(), 2, "another hour, another line: {lines:?}");
    }

    #[test]
    fn what_an_alert_cites_is_no_line_with_what_it_does_not() {
        let mut cited = audit(2, "a", "get", "y");
        cited.cited = true;
        let lines = story_lines(vec![audit(1, "a", "get", "x"), cited], Vec::new(), false);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn alerts_stand_after_their_event_and_those_of_one_rule_together() {
        let alert = |id: &str, rule: &str, seconds: i64| -> Alert {
            serde_json::from_value(serde_json::json!({
                "alert": {"id": id, "revision": 1, "status": "final", "time": Timestamp::from_seconds(seconds).to_string()},
                "rule": {"id": rule, "name": rule, "level": if rule == "r" { "low" } else { "high" },
                         "type": "detection", "version": "1", "tags": []},
                "group": {},
                "window": {"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T00:00:01Z"},
                "evidence_total": 1,
                "evidence": [],
            }))
            .unwrap()
        };
        let entries = vec![audit(1, "a", "get", "x"), audit(2, "b", "get", "x")];
        let alerts = vec![alert("c", "r", 3), alert("a", "r", 1), alert("b", "s", 1)];
        let lines = story_lines(entries.clone(), alerts.clone(), false);
        assert_eq!(shown(&lines), ["1-1 ×1 a x", "alert b ×1", "alert a ×2", "2-2 ×1 b x"]);
        assert_eq!(story_lines(entries, alerts, true).len(), 5);
    }

    #[test]
    fn silences_are_lines() {
        let at = |seconds: &[i64]| {
            let entries = seconds.iter().map(|s| audit(*s, "a", "get", &s.to_string())).collect();
            let lines = story_lines(entries, Vec::new(), true);
            shown(&lines)
                .into_iter()
                .filter(|line| line.starts_with("gap"))
                .collect::<Vec<_>>()
        };
        assert_eq!(at(&[0, 1, 2, 602]), Vec::<String>::new(), "ten minutes are none");
        assert_eq!(at(&[0, 1, 2, 603]), ["gap 2-603"]);
        assert_eq!(
            at(&[0, 300, 600, 3_000]),
            Vec::<String>::new(),
            "eight times the median"
        );
        assert_eq!(at(&[0, 300, 600, 3_700]), ["gap 600-3700"]);
        assert_eq!(at(&[7]), Vec::<String>::new());
    }

    #[test]
    fn objects_beyond_the_first_are_counted() {
        let entries = (0..6).map(|n| audit(n, "a", "get", &format!("s{n}"))).collect();
        let lines = story_lines(entries, Vec::new(), false);
        let Line::Events(group) = &lines[0] else {
            panic!("{lines:?}")
        };
        assert_eq!((group.objects.len(), group.more_objects, group.count), (3, 3, 6));
    }
}
