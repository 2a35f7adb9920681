//! Which log is read by what: one arm for each source.

use casebook_event::{Event, Source};

use super::sink::BindingSink;
use super::{audit, cloud, cloudtrail, node_logs};
use crate::entity::cluster::cluster_of_names;
use crate::entity::{Binding, How};

/// Appends every binding that an event reports.
///
/// What a container prints reports none, whatever it says: of its line, only what the runtime and the shipper say of it counts.
pub fn bindings_of(event: &Event, out: &mut Vec<Binding>) {
    let mut sink = BindingSink {
        time: event.time,
        source: event.source,
        cluster: cluster_of_names(event),
        how: How::Shipper,
        first: out.len(),
        out,
    };
    match event.source {
        Source::KubernetesAudit => audit::learn(event, &mut sink),
        Source::KubernetesEvent => node_logs::learn_event(event, &mut sink),
        Source::Kubelet => node_logs::learn_kubelet(event, &mut sink),
        Source::ContainerLog => node_logs::learn_shipped(event, &mut sink),
        Source::Falco => node_logs::learn_falco(event, &mut sink),
        Source::Tetragon => node_logs::learn_tetragon(event, &mut sink),
        Source::ContainerStats => node_logs::learn_stats(event, &mut sink),
        Source::CloudTrail => cloudtrail::learn(event, &mut sink),
        Source::GcpAudit => cloud::learn_gcp(event, &mut sink),
        Source::AzureActivity => cloud::learn_azure(event, &mut sink),
        Source::Auditd
        | Source::Auth
        | Source::Journald
        | Source::Application
        | Source::WebAccess
        | Source::FileIntegrity => {}
    }
}
