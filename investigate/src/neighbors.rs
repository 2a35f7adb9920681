//! What else the events of an entity name: by count.

use std::collections::HashMap;

use casebook_event::{Event, FieldId};

use crate::entity::{EntityName, Kind};

/// The fields in which neighbors are named.
pub const FIELDS: &[FieldId] = &[
    FieldId::ContainerImageName,
    FieldId::DestinationAddress,
    FieldId::DestinationDomain,
    FieldId::DestinationIp,
    FieldId::HostName,
    FieldId::KubernetesNodeName,
    FieldId::KubernetesPodName,
    FieldId::KubernetesServiceAccount,
    FieldId::OrchestratorClusterName,
    FieldId::OrchestratorNamespace,
    FieldId::OrchestratorResourceType,
    FieldId::ProcessExecutable,
    FieldId::ProcessName,
    FieldId::SourceIp,
    FieldId::UserName,
];

/// Different values of one kind that are counted; further ones are not.
const MAX_VALUES: usize = 10_000;

/// What is counted: the word for it, and the fields, of which the first that is set counts.
const COUNTED: &[(&str, &[FieldId])] = &[
    ("user", &[FieldId::UserName]),
    ("source ip", &[FieldId::SourceIp]),
    ("pod", &[FieldId::KubernetesPodName]),
    ("node", &[FieldId::KubernetesNodeName, FieldId::HostName]),
    ("image", &[FieldId::ContainerImageName]),
    (
        "destination",
        &[
            FieldId::DestinationIp,
            FieldId::DestinationAddress,
            FieldId::DestinationDomain,
        ],
    ),
    ("process", &[FieldId::ProcessExecutable, FieldId::ProcessName]),
];

/// A value and how many events name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbor {
    /// `user`, `source ip`, ….
    pub kind: &'static str,
    /// The name.
    pub value: String,
    /// Events that name it.
    pub events: u64,
}

impl Neighbor {
    /// It as an entity to ask about.
    pub fn entity(&self) -> Option<String> {
        let value = &self.value;
        let kind = match self.kind {
            "user" => match value.strip_prefix("system:serviceaccount:") {
                Some(_) => Kind::ServiceAccount,
                None if value.starts_with("system:node:") => Kind::Node,
                None => Kind::User,
            },
            "source ip" => Kind::Ip,
            "destination" if value.parse::<std::net::IpAddr>().is_ok() => Kind::Ip,
            "pod" => Kind::Pod,
            "node" => Kind::Node,
            "image" => Kind::Image,
            "process" => Kind::Process,
            _ => return None,
        };
        EntityName::new(kind, value).ok().map(|name| name.to_string())
    }
}

/// Counts as events come.
#[derive(Debug, Default)]
pub struct NeighborCounts {
    counts: HashMap<(&'static str, String), u64>,
}

impl NeighborCounts {
    /// Counts what an event names.
    pub fn count(&mut self, event: &Event) {
        for (kind, fields) in COUNTED {
            let Some(value) = fields.iter().find_map(|id| event.fields.get(*id)) else {
                continue;
            };
            let mut value = value.to_text().into_owned();
            if *kind == "pod"
                && let Some(namespace) = pod_namespace(event)
            {
                value = format!("{namespace}/{value}");
            }
            let full = self.counts.len() >= MAX_VALUES * COUNTED.len();
            match self.counts.get_mut(&(*kind, value.clone())) {
                Some(count) => *count += 1,
                None if full => {}
                None => drop(self.counts.insert((kind, value), 1)),
            }
        }
    }

    /// The `most` of each kind with the most events, without the entity itself.
    pub fn top(&self, most: usize, own: &str) -> Vec<Neighbor> {
        let mut top = Vec::new();
        for (kind, _) in COUNTED {
            let mut of_kind: Vec<Neighbor> = self
                .counts
                .iter()
                .filter(|((known, value), _)| known == kind && value != own)
                .map(|((_, value), events)| Neighbor {
                    kind,
                    value: value.clone(),
                    events: *events,
                })
                .collect();
            of_kind.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| a.value.cmp(&b.value)));
            of_kind.truncate(most);
            top.append(&mut of_kind);
        }
        top
    }
}

/// The namespace of the pod that an event names: that of the account in an audit event that is not about a pod.
fn pod_namespace(event: &Event) -> Option<String> {
    let text = |id| event.fields.get(id).map(|value| value.to_text().into_owned());
    let about_pod = text(FieldId::OrchestratorResourceType).is_none_or(|kind| kind == "pods");
    if about_pod {
        return text(FieldId::OrchestratorNamespace);
    }
    let account = text(FieldId::KubernetesServiceAccount)?;
    account.split_once(':').map(|(namespace, _)| namespace.to_owned())
}

#[cfg(test)]
mod tests {
    use casebook_event::Source;

    use super::*;
    use crate::testing::event;

    #[test]
    fn neighbors_are_counted_by_kind_and_the_entity_is_none() {
        let mut neighbors = NeighborCounts::default();
        for user in ["a", "b", "b", "c"] {
            neighbors.count(&event(
                Source::KubernetesAudit,
                1,
                &[
                    (FieldId::UserName, user),
                    (FieldId::KubernetesPodName, "web-1"),
                    (FieldId::OrchestratorNamespace, "vault"),
                    (FieldId::OrchestratorResourceType, "secrets"),
                    (FieldId::KubernetesServiceAccount, "shop:web"),
                ],
            ));
        }
        let shown = |top: &[Neighbor]| -> Vec<String> {
            top.iter()
                .map(|n| format!("{} {} {}", n.kind, n.value, n.events))
                .collect()
        };
        assert_eq!(
            shown(&neighbors.top(2, "x")),
            ["user b 2", "user a 1", "pod shop/web-1 4"]
        );
        assert_eq!(shown(&neighbors.top(2, "shop/web-1")), ["user b 2", "user a 1"]);
    }

    #[test]
    fn neighbors_can_be_asked_about() {
        let check = |kind: &'static str, value: &str, want: Option<&str>| {
            let neighbor = Neighbor {
                kind,
                value: value.to_owned(),
                events: 1,
            };
            assert_eq!(neighbor.entity().as_deref(), want, "{kind} {value}");
        };
        check(
            "user",
            "system:serviceaccount:prod:web",
            Some("serviceaccount:prod/web"),
        );
        check("user", "alice", Some("user:alice"));
        check("user", "system:node:n1", Some("node:n1"));
        check("destination", "10.0.0.1", Some("ip:10.0.0.1"));
        check("destination", "sts.amazonaws.com", None);
        check("pod", "prod/web-1", Some("pod:prod/web-1"));
    }
}
