//! What an event tells of who is who.

mod audit;
mod cloud;
mod cloudtrail;
mod node;
mod place;
mod pod;
#[cfg(test)]
mod tests;

use casebook_event::{Event, FieldId, Source, Timestamp};
use compact_str::CompactString;

use super::cluster::{cluster_of_names, qualify};
use super::limits::MAX_BINDINGS_PER_EVENT;
use super::{Binding, Confidence, How, Identifier, IdentifierKind};

/// Appends every binding that an event tells.
///
/// What a container prints tells none, whatever it says: of its line, only what the runtime and the shipper say of it counts.
pub fn bindings_of(event: &Event, out: &mut Vec<Binding>) {
    let mut told = Told {
        time: event.time,
        source: event.source,
        cluster: cluster_of_names(event),
        how: How::Shipper,
        first: out.len(),
        out,
    };
    match event.source {
        Source::KubernetesAudit => audit::learn(event, &mut told),
        Source::KubernetesEvent => place::learn_event(event, &mut told),
        Source::Kubelet => place::learn_kubelet(event, &mut told),
        Source::ContainerLog => place::learn_shipped(event, &mut told),
        Source::Falco => place::learn_falco(event, &mut told),
        Source::Tetragon => place::learn_tetragon(event, &mut told),
        Source::ContainerStats => place::learn_stats(event, &mut told),
        Source::CloudTrail => cloudtrail::learn(event, &mut told),
        Source::GcpAudit => cloud::learn_gcp(event, &mut told),
        Source::AzureActivity => cloud::learn_azure(event, &mut told),
        Source::Auditd
        | Source::Auth
        | Source::Journald
        | Source::Application
        | Source::WebAccess
        | Source::FileIntegrity => {}
    }
}

/// What one event has told so far.
struct Told<'a> {
    time: Timestamp,
    source: Source,
    /// Whose names these are, where that is known.
    cluster: &'a str,
    how: How,
    /// Where this event's bindings begin.
    first: usize,
    out: &'a mut Vec<Binding>,
}

impl Told<'_> {
    /// The same event, by another word of it.
    fn by(&mut self, how: How) -> Told<'_> {
        Told {
            time: self.time,
            source: self.source,
            cluster: self.cluster,
            how,
            first: self.first,
            out: self.out,
        }
    }

    /// The same event, by what it says of an earlier time.
    fn as_of(&mut self, how: How, time: Timestamp) -> Told<'_> {
        Told { time, ..self.by(how) }
    }

    /// `from` stood for `to`, where both are known.
    fn bind(&mut self, from: Option<&Identifier>, to: Option<&Identifier>, confidence: Confidence) {
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
    fn end(&mut self, id: &Identifier, time: Timestamp) {
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
        // An audit event has one object in its request and its answer: most is told twice.
        if own.len() > MAX_COMPARED || !own.contains(&binding) {
            self.out.push(binding);
        }
    }
}

/// Up to how many bindings of an event a further one is compared with them: beyond, it may be told twice, which means nothing.
const MAX_COMPARED: usize = 64;

/// A pod by the names an event has for it.
#[derive(Default)]
struct PodNames {
    uid: Option<Identifier>,
    name: Option<Identifier>,
    namespace: CompactString,
}

impl PodNames {
    fn new(uid: Option<&str>, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            uid: uid.and_then(|uid| Identifier::new(IdentifierKind::PodUid, uid)),
            name: namespace
                .zip(name)
                .and_then(|(namespace, name)| Identifier::namespaced(IdentifierKind::PodName, namespace, name)),
            namespace: namespace.unwrap_or_default().into(),
        }
    }

    /// What other facts are told of: the uid, which is never given twice, else the name.
    fn subject(&self) -> Option<&Identifier> {
        self.uid.as_ref().or(self.name.as_ref())
    }

    /// The name without its namespace.
    fn bare_name(&self) -> Option<&str> {
        self.name.as_ref()?.parts().map(|(_, name)| name)
    }

    /// Tells that the name and the uid are of one pod.
    fn tell(&self, confidence: Confidence, told: &mut Told<'_>) {
        told.bind(self.name.as_ref(), self.uid.as_ref(), confidence);
        told.bind(self.uid.as_ref(), self.name.as_ref(), confidence);
    }
}

/// The text of a normalized field.
fn field(event: &Event, id: FieldId) -> Option<&str> {
    event.fields.str(id).filter(|text| !text.is_empty())
}
