//! From what an event names to what it is about: along the bindings that hold at the event's time.

use casebook_event::Timestamp;
use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use super::IdentifierKind::{
    self, ContainerId, Identity, InstanceId, NodeIp, NodeName, PodIp, PodName, PodUid, RoleSession, ServiceAccount,
    Workload,
};
use super::limits::{MAX_CANDIDATES, MAX_STEPS, MAX_VISITS};
use super::{Confidence, EntityKind, How, Identifier, name_form};

/// One binding on the way from an identifier to an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What stood for something.
    pub from: Identifier,
    /// What it stood for.
    pub to: Identifier,
    /// Which log reported it.
    pub how: How,
    /// How far it can be relied upon.
    pub confidence: Confidence,
    /// When it was last seen to hold, up to the time in question; `None` for a conclusion from a name's form.
    pub seen: Option<Timestamp>,
}

/// What an identifier stood for at a time, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attribution {
    /// The entity's canonical id; `None` where the identifier leads to none of that kind.
    pub entity: Option<CompactString>,
    /// The bindings on the way; none where the identifier is the entity's own name.
    pub how: Vec<Step>,
    /// The least of the steps' confidence; of an entity that was named outright, `Certain`; of none,
    /// `Guessed`.
    pub confidence: Confidence,
    /// The other entities that the identifier stood for as likely. Where there are any, nothing may be
    /// concluded from `entity` alone.
    pub ambiguous: Vec<CompactString>,
}

impl Attribution {
    /// The entity, where it is the only one.
    pub fn only(&self) -> Option<&CompactString> {
        self.entity.as_ref().filter(|_| self.ambiguous.is_empty())
    }
}

/// A binding that holds at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) to: Identifier,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) how: How,
    pub(super) confidence: Confidence,
}

/// Who knows which bindings hold.
pub(super) trait Known {
    /// The bindings from `from` to a `to` that hold at `at`: the one to take first, then those that hold beside it.
    fn held(&self, from: &Identifier, to: IdentifierKind, at: Timestamp) -> Vec<Held>;
}

/// What `identifier` stood for at `at`.
pub(super) fn resolve(known: &dyn Known, identifier: &Identifier, kind: EntityKind, at: Timestamp) -> Attribution {
    let mut walk = Walk {
        known,
        kind,
        at,
        path: Vec::new(),
        found: Vec::new(),
        visits: 0,
    };
    walk.visit(identifier);
    let mut found = walk.found.into_iter();
    let Some((entity, how)) = found.next() else {
        return Attribution::default();
    };
    let mut ambiguous: Vec<CompactString> = Vec::new();
    for (other, _) in found {
        if other != entity && !ambiguous.contains(&other) {
            ambiguous.push(other);
        }
    }
    Attribution {
        entity: Some(entity),
        confidence: how
            .iter()
            .map(|step| step.confidence)
            .min()
            .unwrap_or(Confidence::Certain),
        how,
        ambiguous,
    }
}

/// A search under way.
struct Walk<'a> {
    known: &'a dyn Known,
    kind: EntityKind,
    at: Timestamp,
    path: Vec<Step>,
    found: Vec<(CompactString, Vec<Step>)>,
    visits: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: &Identifier) {
        self.visits += 1;
        if self.visits > MAX_VISITS || self.found.len() >= MAX_CANDIDATES {
            return;
        }
        let before = self.found.len();
        if self.path.len() < MAX_STEPS {
            let mut ways: Vec<Vec<Held>> = route(self.kind, id.kind)
                .iter()
                .map(|next| self.known.held(id, *next, self.at))
                .collect();
            if id.kind == RoleSession
                && let Some(sessions) = ways.pop()
            {
                // A key is of one session, and was given to one caller: its ARN, which others may share, comes after.
                let (given, named) = sessions.into_iter().partition(|held| held.how == How::CloudRole);
                ways.extend([given, named]);
            }
            if id.kind == PodIp {
                let strongest = ways.iter().flatten().map(|held| held.confidence).max();
                if let Some(node) = self.node_of(id, strongest) {
                    // Pods in their node's network have its address, and so has everything else on the node.
                    ways = vec![if self.kind == EntityKind::Node {
                        node
                    } else {
                        Vec::new()
                    }];
                }
            }
            for way in ways {
                for held in way.into_iter().take(MAX_CANDIDATES) {
                    self.step(Step {
                        from: id.clone(),
                        to: held.to,
                        how: held.how,
                        confidence: held.confidence,
                        seen: Some(held.last),
                    });
                }
                if self.found.len() > before {
                    return;
                }
            }
            if let Some(to) = self.by_name_form(id) {
                self.step(Step {
                    from: id.clone(),
                    to,
                    how: How::NameForm,
                    confidence: Confidence::Guessed,
                    seen: None,
                });
                if self.found.len() > before {
                    return;
                }
            }
        }
        if let Some(entity) = canonical(self.kind, id) {
            self.found.push((entity, self.path.clone()));
        }
    }

    fn step(&mut self, step: Step) {
        let passed = |step: &Step, to: &Identifier| step.from == *to;
        if step.from == step.to || self.path.iter().any(|earlier| passed(earlier, &step.to)) {
            return;
        }
        let to = step.to.clone();
        self.path.push(step);
        self.visit(&to);
        self.path.pop();
    }

    /// The nodes that have a pod's address, where that is reported at least as surely as that a pod has it.
    fn node_of(&self, pod_ip: &Identifier, strongest: Option<Confidence>) -> Option<Vec<Held>> {
        let address = Identifier {
            kind: NodeIp,
            ..pod_ip.clone()
        };
        let held = self.known.held(&address, NodeName, self.at);
        let confidence = held.first()?.confidence;
        strongest.is_none_or(|pod| confidence >= pod).then_some(held)
    }

    fn by_name_form(&self, id: &Identifier) -> Option<Identifier> {
        match (self.kind, id.kind) {
            (EntityKind::Workload, PodName) => name_form::workload_of_pod(id),
            (EntityKind::Workload, Workload) => name_form::workload_above(id),
            _ => None,
        }
    }
}

/// From an identifier of a kind, the kinds to go on to, the best first. Those that follow are for where one leads nowhere. From
/// a session, another session is the last.
fn route(kind: EntityKind, from: IdentifierKind) -> &'static [IdentifierKind] {
    match (kind, from) {
        (EntityKind::Pod, PodName) => &[PodUid],
        (EntityKind::Pod, PodUid) => &[],
        (_, PodIp) => &[PodUid, PodName],
        (EntityKind::Node, ContainerId) => &[PodUid, PodName, ContainerId, NodeName],
        (_, ContainerId) => &[PodUid, PodName, ContainerId],
        (EntityKind::Pod | EntityKind::Workload, RoleSession) => &[PodUid, PodName, RoleSession],
        (EntityKind::Workload, PodUid) => &[Workload, PodName],
        (EntityKind::Workload, PodName) => &[PodUid, Workload],
        (EntityKind::Workload, Workload) => &[Workload],
        (EntityKind::Node, PodUid) => &[NodeName, PodName],
        (EntityKind::Node, PodName) => &[PodUid, NodeName],
        (EntityKind::Node, NodeIp | InstanceId) => &[NodeName],
        (EntityKind::Node, RoleSession) => &[InstanceId, PodUid, PodName, RoleSession],
        (EntityKind::Identity, PodUid) => &[ServiceAccount, PodName],
        (EntityKind::Identity, PodName) => &[PodUid, ServiceAccount],
        (EntityKind::Identity, RoleSession) => &[ServiceAccount, Identity, PodUid, PodName, RoleSession],
        _ => &[],
    }
}

/// The canonical id of the entity that an identifier names outright, with its cluster before it where that is known.
fn canonical(kind: EntityKind, id: &Identifier) -> Option<CompactString> {
    match (kind, id.kind) {
        (EntityKind::Pod, PodUid | PodName)
        | (EntityKind::Workload, Workload)
        | (EntityKind::Node, NodeName)
        | (EntityKind::Identity, Identity) => Some(id.qualified()),
        (EntityKind::Node, Identity) => Some(Identifier::node_of_user(&id.value)?.within(&id.cluster).qualified()),
        (EntityKind::Identity, ServiceAccount) => {
            let (namespace, name) = id.parts()?;
            let user = format_compact!("system:serviceaccount:{namespace}:{name}");
            Some(Identifier::new(Identity, &user)?.within(&id.cluster).qualified())
        }
        _ => None,
    }
}
