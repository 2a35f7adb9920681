//! Where the bindings that an event reports are put.

use casebook_event::{Source, Timestamp};

use crate::entity::cluster::qualify;
use crate::entity::limits::MAX_BINDINGS_PER_EVENT;
use crate::entity::{Binding, Confidence, How, Identifier};

/// The bindings that one event reports, and what they have in common.
pub(super) struct BindingSink<'a> {
    pub(super) time: Timestamp,
    pub(super) source: Source,
    /// Whose names these are, where that is known.
    pub(super) cluster: &'a str,
    pub(super) how: How,
    /// Where this event's bindings begin.
    pub(super) first: usize,
    pub(super) out: &'a mut Vec<Binding>,
}

impl BindingSink<'_> {
    /// The same event, by another log of it.
    pub(super) fn by(&mut self, how: How) -> BindingSink<'_> {
        BindingSink {
            time: self.time,
            source: self.source,
            cluster: self.cluster,
            how,
            first: self.first,
            out: self.out,
        }
    }

    /// The same event, by what it says of an earlier time.
    pub(super) fn as_of(&mut self, how: How, time: Timestamp) -> BindingSink<'_> {
        BindingSink { time, ..self.by(how) }
    }

    /// `from` stood for `to`, where both are known.
    pub(super) fn bind(&mut self, from: Option<&Identifier>, to: Option<&Identifier>, confidence: Confidence) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            self.push(Binding {
                from: from.clone(),
                to: to.clone(),
                time: self.time,
                ends: false,
                how: self.how,
                confidence,
            });
        }
    }

    /// What is called `id` ended at `time`.
    pub(super) fn end(&mut self, id: &Identifier, time: Timestamp) {
        self.push(Binding {
            from: id.clone(),
            to: id.clone(),
            time,
            ends: true,
            how: self.how,
            confidence: Confidence::Certain,
        });
    }

    fn push(&mut self, binding: Binding) {
        let binding = Binding {
            from: qualify(binding.from, self.source, self.cluster),
            to: qualify(binding.to, self.source, self.cluster),
            ..binding
        };
        let own = self.out.get(self.first..).unwrap_or_default();
        if own.len() >= MAX_BINDINGS_PER_EVENT {
            return;
        }
        // An audit event has one object in its request and its answer: most is reported twice.
        if own.len() > MAX_COMPARED || !own.contains(&binding) {
            self.out.push(binding);
        }
    }
}

/// Up to how many bindings of an event a further one is compared with them: beyond, it may be reported twice, which means nothing.
const MAX_COMPARED: usize = 64;
