//! What Google's and Azure's logs report the machines under a cluster.

use casebook_event::Event;

use super::node;
use super::sink::BindingSink;
use crate::entity::{Confidence, How, Identifier, IdentifierKind};

/// GKE's nodes have their machine's name; the log calls the machine by its number and by its name.
pub(super) fn learn_gcp(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::CloudInstance);
    let native = event.native();
    let number = native
        .str_at(&["resource", "labels", "instance_id"])
        .and_then(|id| Identifier::new(IdentifierKind::InstanceId, id));
    let name = native
        .str_at(&["protoPayload", "resourceName"])
        .and_then(|resource| resource.split_once("/instances/"))
        .map(|(_, name)| name)
        .filter(|name| name.starts_with("gke-") && !name.contains('/'));
    let machine = name.and_then(|name| Identifier::new(IdentifierKind::InstanceId, name));
    let node = name.and_then(|name| Identifier::new(IdentifierKind::NodeName, name));
    sink.bind(number.as_ref(), node.as_ref(), Confidence::Likely);
    sink.bind(machine.as_ref(), node.as_ref(), Confidence::Likely);
}

/// A machine's own identity (`xms_mirid`) says which machine it is that acts.
pub(super) fn learn_azure(event: &Event, sink: &mut BindingSink<'_>) {
    let mut sink = sink.by(How::CloudInstance);
    let native = event.native();
    let claim = |key: &str| {
        native
            .str_at(&["identity", "claims", key])
            .or(native.str_at(&["claims", key]))
    };
    let machine = claim("xms_mirid").and_then(node::azure_instance);
    let session = claim("appid").and_then(|app| Identifier::new(IdentifierKind::RoleSession, app));
    sink.bind(session.as_ref(), machine.as_ref(), Confidence::Certain);
}
