//! The names that an event has for its pod.

use casebook_event::{Event, FieldId};
use compact_str::CompactString;

use super::sink::BindingSink;
use crate::entity::{Confidence, Identifier, IdentifierKind};

/// A pod by the names an event has for it.
#[derive(Default)]
pub(super) struct PodNames {
    pub(super) uid: Option<Identifier>,
    pub(super) name: Option<Identifier>,
    pub(super) namespace: CompactString,
}

impl PodNames {
    pub(super) fn new(uid: Option<&str>, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            uid: uid.and_then(|uid| Identifier::new(IdentifierKind::PodUid, uid)),
            name: namespace
                .zip(name)
                .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::PodName, namespace, name)),
            namespace: namespace.unwrap_or_default().into(),
        }
    }

    /// What other facts are reported of: the uid, which is never given twice, else the name.
    pub(super) fn subject(&self) -> Option<&Identifier> {
        self.uid.as_ref().or(self.name.as_ref())
    }

    /// The name without its namespace.
    pub(super) fn bare_name(&self) -> Option<&str> {
        self.name.as_ref()?.parts().map(|(_, name)| name)
    }

    /// Reports that the name and the uid are of one pod.
    pub(super) fn report(&self, confidence: Confidence, sink: &mut BindingSink<'_>) {
        sink.bind(self.name.as_ref(), self.uid.as_ref(), confidence);
        sink.bind(self.uid.as_ref(), self.name.as_ref(), confidence);
    }
}

/// The text of a normalized field.
pub(super) fn field(event: &Event, id: FieldId) -> Option<&str> {
    event.fields.str(id).filter(|text| !text.is_empty())
}
