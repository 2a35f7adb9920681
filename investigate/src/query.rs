//! Which events are meant: as clauses, which are written in the query language for the store, and which the evidence of alerts is
//! held against.

use casebook_event::{FieldId, Timestamp};
use casebook_store::limits::{MAX_QUERY_BYTES, MAX_QUERY_TERMS};

/// What the query language calls `ip`.
pub const ADDRESSES: &[FieldId] = &[
    FieldId::SourceIp,
    FieldId::DestinationIp,
    FieldId::HostIp,
    FieldId::KubernetesPodIp,
    FieldId::RelatedIps,
];

/// The field that says in which cluster an event happened.
pub const CLUSTER: &[FieldId] = &[FieldId::OrchestratorClusterName];

/// What a field's value must be, whatever its case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// This.
    Is(String),
    /// It begins so.
    Begins(String),
    /// It ends so.
    Ends(String),
    /// It has this in it.
    Holds(String),
    /// An address of this network.
    Within(String),
}

impl Test {
    fn write(&self) -> String {
        match self {
            Self::Is(text) => quoted(text),
            Self::Begins(text) => format!("{}*", escaped(text)),
            Self::Ends(text) => format!("*{}", escaped(text)),
            Self::Holds(text) => format!("*{}*", escaped(text)),
            Self::Within(network) => network.clone(),
        }
    }

    fn passes(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        match self {
            Self::Is(text) => value == text.to_lowercase(),
            Self::Begins(text) => value.starts_with(&text.to_lowercase()),
            Self::Ends(text) => value.ends_with(&text.to_lowercase()),
            Self::Holds(text) => value.contains(&text.to_lowercase()),
            // The store alone tests it.
            Self::Within(_) => false,
        }
    }
}

/// Fields of which one must pass a test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The fields.
    pub fields: &'static [FieldId],
    /// The test.
    pub test: Test,
}

/// Parts that must all hold, within a time if one is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clause {
    /// The parts.
    pub parts: Vec<Part>,
    /// At or after the first, before the second.
    pub within: Option<(Timestamp, Timestamp)>,
}

impl Clause {
    /// That one of these fields passes a test.
    pub fn any(fields: &'static [FieldId], test: Test) -> Self {
        Self {
            parts: vec![Part { fields, test }],
            within: None,
        }
    }

    /// That one of these fields passes too.
    pub fn and(mut self, fields: &'static [FieldId], test: Test) -> Self {
        self.parts.push(Part { fields, test });
        self
    }

    fn write(&self) -> String {
        let mut parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| {
                if part.fields == ADDRESSES {
                    return format!("ip:{}", part.test.write());
                }
                let each = part.fields.iter().map(|field| format!("{field}:{}", part.test.write()));
                bracketed(each.collect(), " OR ")
            })
            .collect();
        if let Some((from, to)) = self.within {
            parts.push(format!("time:[{from} TO {to}}}"));
        }
        bracketed(parts, " AND ")
    }

    fn terms(&self) -> usize {
        let of_part = |part: &Part| if part.fields == ADDRESSES { 1 } else { part.fields.len() };
        self.parts.iter().map(of_part).sum::<usize>() + usize::from(self.within.is_some())
    }
}

/// Events: those for which any clause holds, with one of the ids, or with one of the texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// By fields.
    pub clauses: Vec<Clause>,
    /// By the whole ids of events.
    pub ids: Vec<String>,
    /// By the record's text: uids, and names where weak matches are asked for.
    pub texts: Vec<String>,
}

impl EventQuery {
    /// Adds a clause, once.
    pub fn push(&mut self, clause: Clause) {
        if !self.clauses.contains(&clause) {
            self.clauses.push(clause);
        }
    }

    /// In the query language, and whether clauses were left out since it would have been longer than a query may be.
    pub fn write(&self) -> (String, bool) {
        let ids = self.ids.iter().map(|id| (format!("event_id:{id}"), 1));
        let clauses = self.clauses.iter().map(|clause| (clause.write(), clause.terms()));
        let texts = self.texts.iter().map(|text| (quoted(text), 1));
        let (mut query, mut terms, mut cut) = (String::new(), 0, false);
        for (part, more) in clauses.chain(texts).chain(ids) {
            if query.len() + part.len() + 4 > MAX_QUERY_BYTES || terms + more > MAX_QUERY_TERMS {
                cut = true;
                continue;
            }
            if !query.is_empty() {
                query.push_str(" OR ");
            }
            query.push_str(&part);
            terms += more;
        }
        (query, cut)
    }

    /// Whether something with these fields at this time is meant by a clause.
    pub fn names<'a>(&self, time: Timestamp, field: &dyn Fn(FieldId) -> Option<&'a str>) -> bool {
        self.clauses.iter().any(|clause| {
            clause.within.is_none_or(|(from, to)| time >= from && time < to)
                && clause.parts.iter().all(|part| {
                    let mut values = part.fields.iter().filter_map(|id| field(*id));
                    values.any(|value| part.test.passes(value))
                })
        })
    }
}

/// The parts joined, in parentheses where there are several.
fn bracketed(parts: Vec<String>, by: &str) -> String {
    if parts.len() == 1 {
        parts.concat()
    } else {
        format!("({})", parts.join(by))
    }
}

/// A value that means itself.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A part of a pattern that means itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if !c.is_alphanumeric() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
