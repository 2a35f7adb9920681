//! In which cluster an event happened, and whose names it has.

use casebook_event::{Event, FieldId, Identifier, IdentifierKind, Source};

/// The cluster that separates an event's group from those of other clusters; empty where none is known, and of a cloud's own log:
/// that is about an account, in which there may be any number of clusters, and the cluster which one of its events names is
/// the object of the request.
pub(crate) fn cluster_of_group(event: &Event) -> &str {
    if is_of_cloud(event.source) {
        return "";
    }
    event.fields.str(FieldId::OrchestratorClusterName).unwrap_or_default()
}

/// The cluster whose names an event has: pods, nodes, accounts, private addresses; empty where that is not known. A cloud's own
/// log has names of the cluster that its topic's configuration or its shipper names, but for an event that is about a cluster:
/// there the name is that of the object.
pub(super) fn cluster_of_names(event: &Event) -> &str {
    let about_cluster = || {
        let service = event.fields.str(FieldId::EventProvider).unwrap_or_default();
        CLUSTER_SERVICES.iter().any(|known| known.eq_ignore_ascii_case(service))
    };
    if is_of_cloud(event.source) && about_cluster() {
        return "";
    }
    event.fields.str(FieldId::OrchestratorClusterName).unwrap_or_default()
}

/// A name that an event has, as the one of its cluster. The users in a cloud's log are the cloud's own.
pub(super) fn qualify(id: Identifier, source: Source, cluster: &str) -> Identifier {
    match id.kind {
        IdentifierKind::Identity if is_of_cloud(source) => id,
        _ => id.within(cluster),
    }
}

/// The services of clouds that make clusters.
const CLUSTER_SERVICES: &[&str] = &[
    "eks.amazonaws.com",
    "container.googleapis.com",
    "Microsoft.ContainerService",
];

/// Whether a source is about a cloud's account, and in no cluster.
pub(crate) fn is_of_cloud(source: Source) -> bool {
    matches!(source, Source::CloudTrail | Source::GcpAudit | Source::AzureActivity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::tests::samples::event;

    #[test]
    fn a_cloud_is_in_no_cluster_and_may_have_the_names_of_one() {
        let check = |source: Source, provider: &str, want: (&str, &str)| {
            let fields = [
                (FieldId::OrchestratorClusterName, "prod"),
                (FieldId::EventProvider, provider),
            ];
            let event = event(source, 1, &fields, "{}");
            assert_eq!(
                (cluster_of_group(&event), cluster_of_names(&event)),
                want,
                "{source} {provider}"
            );
        };
        check(Source::KubernetesAudit, "", ("prod", "prod"));
        check(Source::Auth, "sshd", ("prod", "prod"));
        check(Source::CloudTrail, "sts.amazonaws.com", ("", "prod"));
        check(Source::CloudTrail, "eks.amazonaws.com", ("", ""));
        check(Source::GcpAudit, "container.googleapis.com", ("", ""));
        check(Source::AzureActivity, "MICROSOFT.CONTAINERSERVICE", ("", ""));
        let unknown = event(Source::Kubelet, 1, &[], "{}");
        assert_eq!((cluster_of_group(&unknown), cluster_of_names(&unknown)), ("", ""));
    }
}
