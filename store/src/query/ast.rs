//! A query, parsed and resolved.

use casebook_event::{Timestamp, ip_address};
use ipnet::IpNet;
use regex::Regex;

use super::phrase::holds_phrase;
use super::range::Range;
use super::wildcard::Wildcard;
use crate::data_file::Column;

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
            Self::Phrase(phrase) => holds_phrase(value, phrase),
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
