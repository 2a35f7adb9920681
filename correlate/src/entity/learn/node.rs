//! What a node's object says, and how clouds write their machines' ids.

use casebook_event::ValueRef;

use super::sink::BindingSink;
use crate::entity::{Confidence, Identifier, IdentifierKind};

/// GKE's annotation with the machine's number, by which Google's audit log calls it.
const GKE_INSTANCE: &str = "container.googleapis.com/instance_id";

/// Reports what a node's object says.
pub(super) fn learn(object: ValueRef<'_>, requested_name: Option<&str>, sink: &mut BindingSink<'_>) {
    let node = object
        .str_at(&["metadata", "name"])
        .or(requested_name)
        .and_then(|name| Identifier::new(IdentifierKind::NodeName, name));
    let provider = object.str_at(&["spec", "providerID"]).and_then(instance_of_provider_id);
    let number = object
        .str_at(&["metadata", "annotations", GKE_INSTANCE])
        .and_then(|id| Identifier::new(IdentifierKind::InstanceId, id));
    for instance in [&provider, &number] {
        sink.bind(instance.as_ref(), node.as_ref(), Confidence::Certain);
    }
    sink.bind(node.as_ref(), provider.as_ref(), Confidence::Certain);
    let addresses = object.at(&["status", "addresses"]).and_then(ValueRef::as_list);
    for address in addresses.into_iter().flatten() {
        if matches!(address.str_at(&["type"]), Some("InternalIP" | "ExternalIP")) {
            let ip = address
                .str_at(&["address"])
                .and_then(|ip| Identifier::new(IdentifierKind::NodeIp, ip));
            sink.bind(ip.as_ref(), node.as_ref(), Confidence::Certain);
        }
    }
}

/// The machine that a `providerID` names, as that cloud's audit log calls it: `aws:///eu-west-1a/i-0abc`,
/// `gce://project/zone/name`, `azure:///subscriptions/…/virtualMachineScaleSets/SET/virtualMachines/0`.
pub(super) fn instance_of_provider_id(id: &str) -> Option<Identifier> {
    let (cloud, path) = id.split_once("://")?;
    let last = path.rsplit('/').next()?;
    match cloud {
        "aws" | "gce" => Identifier::new(IdentifierKind::InstanceId, last),
        "azure" => azure_instance(path),
        _ => None,
    }
}

/// The machine that an Azure resource id names: by its number alone within a scale set no machine is known, so the set's name
/// stands before it.
pub(super) fn azure_instance(resource: &str) -> Option<Identifier> {
    let mut parts = resource.split('/');
    let (mut set, mut machine) = (None, None);
    while let Some(part) = parts.next() {
        if part.eq_ignore_ascii_case("virtualMachineScaleSets") {
            set = parts.next();
        } else if part.eq_ignore_ascii_case("virtualMachines") {
            machine = parts.next();
        }
    }
    let text = match (set, machine?) {
        (Some(set), machine) => format!("{set}/{machine}").to_ascii_lowercase(),
        (None, machine) => machine.to_ascii_lowercase(),
    };
    Identifier::new(IdentifierKind::InstanceId, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_each_cloud() {
        let check = |id: &str, want: Option<&str>| {
            let found = instance_of_provider_id(id);
            assert_eq!(found.as_ref().map(|id| id.value.as_str()), want, "{id}");
        };
        check("aws:///eu-west-1a/i-0abc1234", Some("i-0abc1234"));
        check(
            "gce://shop-prod/europe-west1-b/gke-shop-pool-1",
            Some("gke-shop-pool-1"),
        );
        check(
            "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/AKS-np/virtualMachines/3",
            Some("aks-np/3"),
        );
        check(
            "azure:///subscriptions/s/providers/Microsoft.Compute/virtualMachines/vm-1",
            Some("vm-1"),
        );
        check("k3s://k3d-server-0", None);
        check("", None);
    }
}
