//! Which events are read whole to learn what an entity is also called.
//!
//! Most events of an entity repeat what others say: a node renews its lease every ten seconds, a pod's every line names
//! the pod. Reading all of their records takes seconds, so the fields are read first: of events that are alike in
//! [`FIELDS`] the first and the last are read whole, which bound what they say in time.

use std::collections::{HashMap, HashSet};

use casebook_event::{Event, EventId, FieldId, Source, Timestamp};

/// Most events that are read whole, the newest of those that matter.
const MAX_WHOLE_EVENTS: usize = 300;

/// What names stand in, and what shows that an event has more of them than its fields.
pub const FIELDS: &[FieldId] = &[
    FieldId::EventAction,
    FieldId::EventOutcome,
    FieldId::SourceIp,
    FieldId::HostIp,
    FieldId::HostName,
    FieldId::UserName,
    FieldId::AwsAccessKeyId,
    FieldId::AwsUserArn,
    FieldId::CloudInstanceId,
    FieldId::ContainerId,
    FieldId::ContainerImageName,
    FieldId::KubernetesCredentialId,
    FieldId::KubernetesNodeName,
    FieldId::KubernetesPodIp,
    FieldId::KubernetesPodName,
    FieldId::KubernetesPodUid,
    FieldId::KubernetesServiceAccount,
    FieldId::OrchestratorClusterName,
    FieldId::OrchestratorNamespace,
    FieldId::OrchestratorResourceName,
    FieldId::OrchestratorResourceSubresource,
    FieldId::OrchestratorResourceType,
];

/// Of those, the ones that name who asked: few kinds of objects name more than that.
const WHO_ASKED: &[FieldId] = &[
    FieldId::SourceIp,
    FieldId::UserName,
    FieldId::AwsAccessKeyId,
    FieldId::AwsUserArn,
    FieldId::KubernetesCredentialId,
    FieldId::KubernetesPodName,
    FieldId::KubernetesPodUid,
    FieldId::KubernetesNodeName,
    FieldId::KubernetesServiceAccount,
];

/// The kinds of objects in which the API server's requests and answers name pods, nodes and what they belong to.
const BINDING_KINDS: &[&str] = &[
    "pods",
    "nodes",
    "replicasets",
    "jobs",
    "endpointslices",
    "serviceaccounts",
];

/// Events by what they have in common.
#[derive(Debug, Default)]
pub struct BindingSample {
    alike: HashMap<String, Alike>,
    seen: HashSet<EventId>,
}

/// Events that say the same, as far as their fields show.
#[derive(Debug)]
struct Alike {
    first: (Timestamp, EventId),
    last: (Timestamp, EventId),
    count: u64,
}

/// An event to be read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// When it happened.
    pub time: Timestamp,
    /// Its identity.
    pub id: EventId,
    /// For how many events it stands.
    pub times: u64,
}

impl BindingSample {
    /// Takes in an event of which [`FIELDS`] were read; one that was seen before is passed over.
    pub fn add(&mut self, event: &Event) {
        if has_no_bindings(event.source) || !self.seen.insert(event.id) {
            return;
        }
        let this = (event.time, event.id);
        let alike = self.alike.entry(key(event)).or_insert(Alike {
            first: this,
            last: this,
            count: 0,
        });
        alike.first = alike.first.min(this);
        alike.last = alike.last.max(this);
        alike.count += 1;
    }

    /// The events to be read whole, the newest first, and whether there were more. What was taken in is not wanted again.
    pub fn take(&mut self) -> (Vec<Wanted>, bool) {
        let mut wanted = Vec::new();
        for (_, Alike { first, last, count }) in self.alike.drain() {
            let mut want = |(time, id), times| wanted.push(Wanted { time, id, times });
            if first == last {
                want(first, count);
            } else {
                want(first, 1);
                want(last, count - 1);
            }
        }
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let cut = wanted.len() > MAX_WHOLE_EVENTS;
        wanted.truncate(MAX_WHOLE_EVENTS);
        (wanted, cut)
    }
}

/// Sources of which no event says which name stands for which.
fn has_no_bindings(source: Source) -> bool {
    matches!(
        source,
        Source::Auditd
            | Source::Auth
            | Source::Journald
            | Source::Application
            | Source::WebAccess
            | Source::FileIntegrity
    )
}

/// The fields in which events are alike that say the same; `None` where an event may name something that none of its fields
/// has: an object that was written, a session that began.
fn key_fields(event: &Event) -> Option<&'static [FieldId]> {
    let text = |id| event.fields.get(id).map(|value| value.to_text()).unwrap_or_default();
    let action = text(FieldId::EventAction);
    match event.source {
        Source::KubernetesAudit => {
            let kind = text(FieldId::OrchestratorResourceType);
            if !BINDING_KINDS.contains(&&*kind) {
                return Some(WHO_ASKED);
            }
            // A node's own status is written every few seconds, and names the same node.
            (kind == "nodes" || matches!(&*action, "get" | "list" | "watch")).then_some(FIELDS)
        }
        Source::CloudTrail if action.starts_with("AssumeRole") || action == "RunInstances" => None,
        _ => Some(FIELDS),
    }
}

fn key(event: &Event) -> String {
    let mut key = String::from(event.source.name());
    let Some(fields) = key_fields(event) else {
        key.push_str(&event.id.to_string());
        return key;
    };
    for &id in fields {
        key.push('\u{1f}');
        if let Some(value) = event.fields.get(id) {
            key.push_str(&value.to_text());
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    #[test]
    fn of_those_alike_the_first_and_the_last_are_read() {
        let mut sample = BindingSample::default();
        let renew = [
            (FieldId::EventAction, "update"),
            (FieldId::OrchestratorResourceType, "nodes"),
            (FieldId::UserName, "system:node:n1"),
        ];
        let lease = [
            (FieldId::EventAction, "create"),
            (FieldId::OrchestratorResourceType, "leases"),
            (FieldId::UserName, "system:node:n1"),
        ];
        let configmap = [
            (FieldId::EventAction, "get"),
            (FieldId::OrchestratorResourceType, "configmaps"),
            (FieldId::UserName, "system:node:n1"),
        ];
        let create = [
            (FieldId::EventAction, "create"),
            (FieldId::OrchestratorResourceType, "pods"),
        ];
        for seconds in [30, 10, 20, 40] {
            sample.add(&event(Source::KubernetesAudit, seconds, &renew));
        }
        // What is written may name more each time, and a line of a login never does.
        sample.add(&event(Source::KubernetesAudit, 15, &create));
        sample.add(&event(Source::KubernetesAudit, 16, &create));
        sample.add(&event(Source::Auth, 17, &[]));
        // Of these, only who asked counts.
        sample.add(&event(Source::KubernetesAudit, 18, &lease));
        sample.add(&event(Source::KubernetesAudit, 19, &configmap));
        sample.add(&event(Source::KubernetesAudit, 40, &renew));
        let (wanted, cut) = sample.take();
        let times: Vec<(i64, u64)> = wanted
            .iter()
            .map(|one| (one.time.as_nanos() / 1_000_000_000, one.times))
            .collect();
        assert_eq!(
            (times.as_slice(), cut),
            (&[(40, 3), (19, 1), (18, 1), (16, 1), (15, 1), (10, 1)][..], false)
        );
        // Seen once is seen.
        sample.add(&event(Source::KubernetesAudit, 20, &renew));
        assert_eq!(sample.take(), (vec![], false));
    }

    #[test]
    fn the_newest_are_read_where_there_are_too_many() {
        let mut sample = BindingSample::default();
        for seconds in 0..3_000 {
            sample.add(&event(
                Source::CloudTrail,
                seconds,
                &[(FieldId::EventAction, "AssumeRoleWithWebIdentity")],
            ));
        }
        let (wanted, cut) = sample.take();
        assert!(cut);
        assert_eq!(wanted.len(), MAX_WHOLE_EVENTS);
        assert_eq!(wanted[0].time, Timestamp::from_seconds(2_999));
    }
}
