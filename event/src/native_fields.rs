//! The names of sources' own fields, where a source has a fixed set of them.
//!
//! For the rule lints alone: an event keeps whatever its record holds.

use crate::Source;

/// Kubernetes API reference, `audit.k8s.io/v1` `Event`.
const KUBERNETES_AUDIT: &[&str] = &[
    "kind",
    "apiVersion",
    "level",
    "auditID",
    "stage",
    "requestURI",
    "verb",
    "user.username",
    "user.uid",
    "user.groups",
    "user.extra.*",
    "impersonatedUser.username",
    "impersonatedUser.uid",
    "impersonatedUser.groups",
    "impersonatedUser.extra.*",
    "sourceIPs",
    "userAgent",
    "objectRef.resource",
    "objectRef.namespace",
    "objectRef.name",
    "objectRef.uid",
    "objectRef.apiGroup",
    "objectRef.apiVersion",
    "objectRef.resourceVersion",
    "objectRef.subresource",
    "responseStatus.*",
    "requestObject.*",
    "responseObject.*",
    "requestReceivedTimestamp",
    "stageTimestamp",
    "annotations.*",
    // What GKE's Cloud Audit entries have beside these.
    "protoPayload.*",
    "resource.*",
    "labels.*",
];

/// AWS CloudTrail user guide, "CloudTrail record contents".
const CLOUDTRAIL: &[&str] = &[
    "eventVersion",
    "userIdentity.*",
    "eventTime",
    "eventSource",
    "eventName",
    "awsRegion",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "requestParameters.*",
    "responseElements.*",
    "additionalEventData.*",
    "requestID",
    "eventID",
    "eventType",
    "apiVersion",
    "managementEvent",
    "readOnly",
    "resources.*",
    "recipientAccountId",
    "serviceEventDetails.*",
    "sharedEventID",
    "vpcEndpointId",
    "vpcEndpointAccountId",
    "eventCategory",
    "addendum.*",
    "sessionCredentialFromConsole",
    "eventContext.*",
    "edgeDeviceDetails.*",
    "tlsDetails.*",
    "insightDetails.*",
];

/// Google Cloud Logging API, `LogEntry`.
const GCP_AUDIT: &[&str] = &[
    "logName",
    "resource.*",
    "timestamp",
    "receiveTimestamp",
    "severity",
    "insertId",
    "httpRequest.*",
    "labels.*",
    "operation.*",
    "trace",
    "spanId",
    "traceSampled",
    "sourceLocation.*",
    "split.*",
    "protoPayload.*",
    "jsonPayload.*",
    "textPayload",
    "errorGroups.*",
    "metadata.*",
    // The same entry as a Pub/Sub subscription gives it, and as Elastic's integration names it: SigmaHQ's rules use both.
    "data.*",
    "gcp.audit.*",
];

impl Source {
    /// The dotted names that the source's own fields have; one that ends with `.*` stands for what is below it, and for
    /// itself. `None` where the source's records may have any.
    pub fn native_fields(self) -> Option<&'static [&'static str]> {
        match self {
            Self::KubernetesAudit => Some(KUBERNETES_AUDIT),
            Self::CloudTrail => Some(CLOUDTRAIL),
            Self::GcpAudit => Some(GCP_AUDIT),
            _ => None,
        }
    }

    /// Whether a record of the source may have a field of its own by that name.
    pub fn may_have(self, name: &str) -> bool {
        let Some(known) = self.native_fields() else { return true };
        known.iter().any(|known| match known.strip_suffix(".*") {
            Some(above) => is_within(name, above),
            // A name may also stand for all that is below it: `user` for the whole of the user as JSON.
            None => known == &name || is_within(known, name),
        })
    }
}

fn is_within(name: &str, above: &str) -> bool {
    name.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_whole_and_from_above() {
        let check = |name: &str, want: bool| assert_eq!(Source::KubernetesAudit.may_have(name), want, "{name}");
        check("verb", true);
        check("user", true);
        check("user.username", true);
        check("objectRef.resource", true);
        check("requestObject.spec.hostPID", true);
        check("requestObject", true);
        check("objectref.resource", false);
        check("objectRef.resources", false);
        check("hostPath", false);
        check("requestObjects.spec", false);
        assert!(Source::Application.may_have("anything.at.all"));
    }
}
