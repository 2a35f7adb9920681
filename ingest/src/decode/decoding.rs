//! One record on its way: what its decoding has at hand, and the text under way.

use super::envelope::Envelope;
use super::joiner::Joiner;
use super::sink::Sink;
use crate::normalize::Normalized;
use crate::source_kind::SourceKind;

/// One record on its way.
pub(super) struct Decoding<'a> {
    pub(super) kind: SourceKind,
    pub(super) joiner: &'a mut Joiner,
    pub(super) sink: Sink<'a>,
    /// The record before anything was masked, where something was.
    pub(super) original: Option<&'a [u8]>,
    pub(super) scratch: &'a mut Vec<Normalized>,
}

/// A text under way: what is decoded, and what the event shall keep of it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// The record's own text.
    pub(super) text: &'a str,
    /// What is kept: the same, or with the envelope around it.
    pub(super) raw: &'a str,
    pub(super) envelope: &'a Envelope,
    pub(super) depth: usize,
}

impl<'a> Part<'a> {
    /// A text without an envelope.
    pub(super) fn whole(text: &'a str) -> Self {
        static NONE: Envelope = Envelope::NONE;
        Self {
            text,
            raw: text,
            envelope: &NONE,
            depth: 0,
        }
    }
}

pub(super) fn first_line(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(line, _)| line)
}
