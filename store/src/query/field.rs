//! What the field names of a query stand for.

use casebook_event::{FieldId, FieldRef};

use super::ast::Target;
use crate::data_file::Column;

/// A short name for fields that queries often name.
#[derive(Debug, Clone, Copy)]
pub struct FieldAlias {
    /// The short name.
    pub name: &'static str,
    /// What it stands for: an event matches when any of these does.
    pub fields: &'static [FieldId],
}

const fn alias(name: &'static str, fields: &'static [FieldId]) -> FieldAlias {
    FieldAlias { name, fields }
}

/// The short names, in alphabetical order.
pub const ALIASES: &[FieldAlias] = &[
    alias("account", &[FieldId::CloudAccountId]),
    alias("action", &[FieldId::EventAction]),
    alias("agent", &[FieldId::UserAgentOriginal]),
    alias("arn", &[FieldId::AwsUserArn]),
    alias("claimed_ip", &[FieldId::ClaimedIps]),
    alias("cluster", &[FieldId::OrchestratorClusterName]),
    alias("cmd", &[FieldId::ProcessCommandLine]),
    alias("command", &[FieldId::ProcessCommandLine]),
    alias("container", &[FieldId::ContainerName, FieldId::ContainerId]),
    alias(
        "domain",
        &[FieldId::DestinationDomain, FieldId::UrlDomain, FieldId::DnsQuestionName],
    ),
    alias("exe", &[FieldId::ProcessExecutable]),
    alias("file", &[FieldId::FilePath, FieldId::FileName]),
    alias("host", &[FieldId::HostName]),
    alias("image", &[FieldId::ContainerImageName]),
    alias(
        "ip",
        &[
            FieldId::SourceIp,
            FieldId::DestinationIp,
            FieldId::HostIp,
            FieldId::KubernetesPodIp,
            FieldId::RelatedIps,
        ],
    ),
    alias("key", &[FieldId::AwsAccessKeyId]),
    alias("level", &[FieldId::LogLevel]),
    alias("method", &[FieldId::HttpRequestMethod]),
    alias("name", &[FieldId::OrchestratorResourceName]),
    alias("namespace", &[FieldId::OrchestratorNamespace]),
    alias("node", &[FieldId::KubernetesNodeName]),
    alias("ns", &[FieldId::OrchestratorNamespace]),
    alias("outcome", &[FieldId::EventOutcome]),
    alias("path", &[FieldId::UrlPath]),
    alias("pid", &[FieldId::ProcessPid]),
    alias("pod", &[FieldId::KubernetesPodName]),
    alias("process", &[FieldId::ProcessName]),
    alias("reason", &[FieldId::EventReason]),
    alias("region", &[FieldId::CloudRegion]),
    alias("resource", &[FieldId::OrchestratorResourceType]),
    alias("sa", &[FieldId::KubernetesServiceAccount]),
    alias("service", &[FieldId::ServiceName]),
    alias("session", &[FieldId::SessionId]),
    alias("status", &[FieldId::HttpResponseStatusCode]),
    alias("subresource", &[FieldId::OrchestratorResourceSubresource]),
    alias("trace", &[FieldId::TraceId]),
    alias("url", &[FieldId::UrlOriginal]),
    alias("user", &[FieldId::UserName]),
    alias("verb", &[FieldId::EventAction]),
];

/// What a name before a colon stands for.
pub(super) enum Named {
    /// The event's time.
    Time,
    /// Columns.
    Columns(Target),
    /// No field of ours: perhaps one of the source's own record, perhaps no field at all.
    Unknown,
}

/// Resolves a name: ECS, a column of the table, a short name, or a name of the Sigma taxonomy.
pub(super) fn resolve(name: &str) -> Named {
    let one = |column: Column| Named::Columns(Target::First(vec![column]));
    match name {
        "time" | "@timestamp" => return Named::Time,
        "source" | "casebook.source" => return one(Column::Source),
        "event_id" | "event.id" | "id" => return one(Column::EventId),
        "topic" | "kafka_topic" => return one(Column::Topic),
        "partition" | "kafka_partition" => return one(Column::Partition),
        "offset" | "kafka_offset" => return one(Column::Offset),
        _ => {}
    }
    if let Some(id) = FieldId::from_name(name).or_else(|| FieldId::from_column(name)) {
        return one(Column::Field(id));
    }
    if let Ok(at) = ALIASES.binary_search_by(|alias| alias.name.cmp(name)) {
        return Named::Columns(Target::Any(
            ALIASES[at].fields.iter().map(|&id| Column::Field(id)).collect(),
        ));
    }
    match FieldRef::resolve(name).normalized() {
        [] => Named::Unknown,
        ids => Named::Columns(Target::First(ids.iter().map(|&id| Column::Field(id)).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_sorted_and_hide_no_field() {
        assert!(ALIASES.is_sorted_by(|a, b| a.name < b.name));
        for alias in ALIASES {
            assert_eq!(FieldId::from_name(alias.name), None, "{}", alias.name);
        }
    }
}
