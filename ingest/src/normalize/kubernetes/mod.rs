//! Here is a record of a Kubernetes control plane or node agent, give me its event: the API server's audit log, Events, the kubelet.
//!
//! It owns what a request to the API server means, wherever it is logged (GKE's audit log too), and a pod's metadata as shippers write it.
//! It never reads what a container prints.

pub(super) mod audit_addresses;
pub(super) mod audit_cut;
pub(super) mod audit_identity;
pub(super) mod audit_request;
pub(super) mod audit_user;
pub(super) mod gke_audit;
pub(super) mod json_patch;
pub(super) mod kubelet;
pub(super) mod kubelet_message;
pub(super) mod kubernetes_audit;
pub(super) mod kubernetes_event;
pub(crate) mod pod_metadata;
