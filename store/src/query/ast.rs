//! A query, parsed and resolved.

use casebook_event::{FieldId, Timestamp, ip_address};
use ipnet::IpNet;
use regex::Regex;

use super::range::Range;
use super::wildcard::Wildcard;

/// A query.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    /// Every event.
    All,
    /// Events that match every one.
    And(Vec<Query>),
    /// Events that match any one.
    Or(Vec<Query>),
    /// Events that do not match.
    Not(Box<Query>),
    /// Events whose text passes a test.
    Text(TextTest),
    /// Events with a field whose value passes a test.
    Field(Target, ValueTest),
    /// Events at or after the first and before the second time.
    Time(Option<Timestamp>, Option<Timestamp>),
}

/// A test of the text of a record: its raw text with escapes resolved, in lower case.
#[derive(Debug, Clone)]
pub(crate) enum TextTest {
    /// It holds this (folded) phrase at the edges of words.
    Phrase(String),
    /// It holds what this pattern stands for.
    Wildcard(Wildcard),
    /// It holds what this expression finds.
    Regex(Regex),
}

/// A column that a query can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    /// A normalized field.
    Field(FieldId),
    /// The source's name.
    Source,
    /// The event's identity.
    EventId,
    /// The Kafka topic.
    Topic,
    /// The Kafka partition.
    Partition,
    /// The Kafka offset.
    Offset,
}

impl Column {
    /// The column of those of its values that a client only claims. Where a name stands for several columns (`ip`), they do not
    /// count: who looks for an address looks for who had it.
    pub fn claims(self) -> Option<Self> {
        (self == Self::Field(FieldId::RelatedIps)).then_some(Self::Field(FieldId::ClaimedIps))
    }

    /// Its name in the events table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Field(id) => id.info().column,
            Self::Source => "source",
            Self::EventId => "event_id",
            Self::Topic => "kafka_topic",
            Self::Partition => "kafka_partition",
            Self::Offset => "kafka_offset",
        }
    }
}

/// What a query's field name stands for.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// The first of these that an event has.
    First(Vec<Column>),
    /// Every one of these, without claims ([`Column::claims`]).
    Any(Vec<Column>),
    /// A path into the source's own record.
    Native(String),
}

/// A test of a field's value, in lower case. A field of several values passes when one of them does.
#[derive(Debug, Clone)]
pub(crate) enum ValueTest {
    /// It is there.
    Exists,
    /// It is this.
    Equals(String),
    /// It has this phrase in it, at the edges of words.
    Phrase(String),
    /// It is what this pattern stands for.
    Wildcard(Wildcard),
    /// It has what this expression finds.
    Regex(Regex),
    /// It lies between.
    Range(Range),
    /// It is an address of this network, or is written just so.
    Network(IpNet, String),
}

impl ValueTest {
    /// Whether a value in lower case passes.
    pub fn passes(&self, value: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::Equals(wanted) => value == wanted,
            Self::Phrase(phrase) => super::matches::holds_phrase(value, phrase),
            Self::Wildcard(wildcard) => wildcard.is_whole(value),
            Self::Regex(regex) => regex.is_match(value),
            Self::Range(range) => range.holds(value),
            Self::Network(network, text) => {
                value == text || ip_address(value).is_some_and(|address| network.contains(&address))
            }
        }
    }

    /// What every value that passes begins with.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Equals(wanted) => wanted,
            Self::Wildcard(wildcard) => wildcard.prefix(),
            _ => "",
        }
    }
}
