//! The field table: every normalized field, named once, with its type, its column and how it is searched.
//!
//! Names are those of the Elastic Common Schema 9 (`fields.csv`), and of the Kubernetes fields that its shippers add.
//! Names under `casebook.` are ours, where neither has one.

use std::fmt;

/// The type of a field, which is also the type of its Parquet column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// One text (`Utf8`).
    Keyword,
    /// Any number of texts (`List<Utf8>`).
    Keywords,
    /// A signed 64-bit number (`Int64`).
    Long,
}

/// How the index treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexed {
    /// As one exact term per value, case-insensitively; the column also has a bloom filter: it names an entity.
    Entity,
    /// As one exact term per value, case-insensitively.
    Exact,
    /// Not at all, beyond what the raw text gives.
    No,
}

/// What the table says about one field.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The dotted ECS name, as rules and queries write it.
    pub name: &'static str,
    /// The Parquet column: the name with dots turned into underscores.
    pub column: &'static str,
    /// The type of its values.
    pub field_type: FieldType,
    /// How the index treats it.
    pub indexed: Indexed,
}

macro_rules! field_table {
    ($($id:ident $name:literal $column:literal $field_type:ident $indexed:ident $doc:literal;)*) => {
        /// A normalized field. The order is that of the columns, and of [`FieldId::ALL`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum FieldId { $(#[doc = $doc] $id,)* }

        impl FieldId {
            /// Every field, in column order.
            pub const ALL: &[FieldId] = &[$(FieldId::$id,)*];
            const INFO: &[FieldInfo] = &[$(FieldInfo {
                name: $name, column: $column, field_type: FieldType::$field_type, indexed: Indexed::$indexed,
            },)*];
            const DOC: &[&str] = &[$($doc,)*];

            /// The field of that dotted name.
            pub fn from_name(name: &str) -> Option<FieldId> {
                match name { $($name => Some(FieldId::$id),)* _ => None }
            }
        }
    };
}

field_table! {
    EventKind "event.kind" "event_kind" Keyword No "event, alert, metric or state (ECS)";
    EventCategory "event.category" "event_category" Keywords Exact "process, network, authentication, file, iam, … (ECS)";
    EventType "event.type" "event_type" Keywords Exact "start, end, creation, deletion, access, denied, … (ECS)";
    EventAction "event.action" "event_action" Keyword Exact "what was done, in the source's words: `create`, `ConsoleLogin`, `ssh_login`";
    EventOutcome "event.outcome" "event_outcome" Keyword Exact "success, failure or unknown";
    EventReason "event.reason" "event_reason" Keyword Exact "why, in the source's words";
    EventCode "event.code" "event_code" Keyword Exact "the source's code for this kind of event";
    EventProvider "event.provider" "event_provider" Keyword Exact "the program or service that reported it";
    EventSeverity "event.severity" "event_severity" Long No "the source's severity as a number";
    EventDuration "event.duration" "event_duration" Long No "how long it took, in nanoseconds";
    EventSequence "event.sequence" "event_sequence" Long No "its number in the order of its source: the serial of an audit record";
    RuleName "rule.name" "rule_name" Keyword Exact "the rule or policy of the tool that reported it: Falco, KubeArmor, Tetragon";
    LogLevel "log.level" "log_level" Keyword Exact "the source's level, lower case";
    LogLogger "log.logger" "log_logger" Keyword Exact "the logger's name inside an application";
    LogFilePath "log.file.path" "log_file_path" Keyword Exact "the file the shipper read it from";
    Message "message" "message" Keyword No "the text for people";
    ErrorMessage "error.message" "error_message" Keyword No "the error's text";
    ErrorType "error.type" "error_type" Keyword Exact "the error's class";
    ErrorStackTrace "error.stack_trace" "error_stack_trace" Keyword No "the error's stack trace, as text";
    UserName "user.name" "user_name" Keyword Entity "who acted";
    UserId "user.id" "user_id" Keyword Entity "the actor's id: uid, ARN principal, Kubernetes uid";
    UserDomain "user.domain" "user_domain" Keyword Exact "the directory the actor belongs to";
    UserGroups "user.group.name" "user_group_name" Keywords Exact "groups of the actor";
    UserRoles "user.roles" "user_roles" Keywords Exact "roles of the actor";
    UserEffectiveName "user.effective.name" "user_effective_name" Keyword Entity "whom the actor became: sudo, su, impersonation";
    UserEffectiveId "user.effective.id" "user_effective_id" Keyword Exact "the id of whom the actor became: the effective uid";
    UserAuditId "user.audit.id" "user_audit_id" Keyword Exact "the uid that logged in, whoever the actor has become since (auditd)";
    UserAuditName "user.audit.name" "user_audit_name" Keyword Entity "its name";
    UserTargetName "user.target.name" "user_target_name" Keyword Entity "the account acted upon";
    SourceIp "source.ip" "source_ip" Keyword Entity "where it came from";
    SourcePort "source.port" "source_port" Long No "the port it came from";
    SourceAddress "source.address" "source_address" Keyword Entity "where it came from, where that is a name";
    DestinationIp "destination.ip" "destination_ip" Keyword Entity "where it went";
    DestinationPort "destination.port" "destination_port" Long Exact "the port it went to";
    DestinationAddress "destination.address" "destination_address" Keyword Entity "where it went, where that is a name";
    DestinationDomain "destination.domain" "destination_domain" Keyword Entity "the domain it went to";
    NetworkProtocol "network.protocol" "network_protocol" Keyword Exact "http, ssh, dns, …";
    NetworkTransport "network.transport" "network_transport" Keyword Exact "tcp, udp, …";
    NetworkDirection "network.direction" "network_direction" Keyword Exact "ingress, egress, …";
    NetworkInitiated "casebook.network.initiated" "casebook_network_initiated" Keyword No "`true` where the connection was opened from here, `false` where it came in";
    HostName "host.name" "host_name" Keyword Entity "the machine or node concerned";
    HostId "host.id" "host_id" Keyword Entity "its machine id or instance id";
    HostIp "host.ip" "host_ip" Keywords Exact "its addresses";
    ProcessName "process.name" "process_name" Keyword Exact "the program's name";
    ProcessPid "process.pid" "process_pid" Long Exact "the process id";
    ProcessExecutable "process.executable" "process_executable" Keyword Exact "the program's path";
    ProcessCommandLine "process.command_line" "process_command_line" Keyword Exact "the whole command line";
    ProcessArgs "process.args" "process_args" Keywords No "the command line in parts";
    ProcessWorkingDirectory "process.working_directory" "process_working_directory" Keyword Exact "its working directory";
    ProcessExitCode "process.exit_code" "process_exit_code" Long No "its exit code";
    ProcessHashSha256 "process.hash.sha256" "process_hash_sha256" Keyword Entity "the program's SHA-256";
    ProcessParentName "process.parent.name" "process_parent_name" Keyword Exact "the parent program's name";
    ProcessParentPid "process.parent.pid" "process_parent_pid" Long Exact "the parent's process id";
    ProcessParentExecutable "process.parent.executable" "process_parent_executable" Keyword Exact "the parent program's path";
    ProcessParentCommandLine "process.parent.command_line" "process_parent_command_line" Keyword Exact "the parent's command line";
    ProcessThreadName "process.thread.name" "process_thread_name" Keyword No "the thread's name";
    ProcessEntityId "process.entity_id" "process_entity_id" Keyword Entity "what names the process across hosts and reuse of pids (Tetragon)";
    ProcessParentEntityId "process.parent.entity_id" "process_parent_entity_id" Keyword Exact "the same of its parent";
    ProcessTitle "process.title" "process_title" Keyword No "how the process names itself (PROCTITLE)";
    FilePath "file.path" "file_path" Keyword Entity "the file concerned";
    FileName "file.name" "file_name" Keyword Exact "its name without the directory";
    FileHashSha256 "file.hash.sha256" "file_hash_sha256" Keyword Entity "its SHA-256";
    FileOwner "file.owner" "file_owner" Keyword Exact "its owner";
    FileMode "file.mode" "file_mode" Keyword Exact "its mode, octal";
    FileTargetPath "file.target_path" "file_target_path" Keyword Exact "where a link points, or what a file was renamed to";
    ContainerId "container.id" "container_id" Keyword Entity "the container's id";
    ContainerName "container.name" "container_name" Keyword Entity "its name";
    ContainerImageName "container.image.name" "container_image_name" Keyword Entity "its image, with the tag";
    ContainerImageHash "container.image.hash.all" "container_image_hash_all" Keywords Exact "its image's digests";
    ContainerRuntime "container.runtime" "container_runtime" Keyword Exact "docker, containerd, cri-o";
    ContainerPrivileged "container.security_context.privileged" "container_security_context_privileged" Keyword Exact "`true` where the container may do what the node may";
    ContainerDiskReadBytes "container.disk.read.bytes" "container_disk_read_bytes" Long No "bytes read from disks since its start";
    ContainerDiskWriteBytes "container.disk.write.bytes" "container_disk_write_bytes" Long No "bytes written to disks since its start";
    ContainerNetworkIngressBytes "container.network.ingress.bytes" "container_network_ingress_bytes" Long No "bytes received since its start";
    ContainerNetworkEgressBytes "container.network.egress.bytes" "container_network_egress_bytes" Long No "bytes sent since its start";
    CpuCoreNanos "casebook.cpu.core_ns" "casebook_cpu_core_ns" Long No "processor time used since the start, in nanoseconds of one core";
    CpuNanocores "casebook.cpu.nanocores" "casebook_cpu_nanocores" Long No "processors in use now, in billionths of a core";
    MemoryBytes "casebook.memory.bytes" "casebook_memory_bytes" Long No "memory in use now, in bytes";
    MemoryLimitBytes "casebook.memory.limit_bytes" "casebook_memory_limit_bytes" Long No "the most memory it may use, in bytes";
    ProcessCount "casebook.processes" "casebook_processes" Long No "processes and threads in it now";
    OrchestratorType "orchestrator.type" "orchestrator_type" Keyword Exact "kubernetes";
    OrchestratorClusterName "orchestrator.cluster.name" "orchestrator_cluster_name" Keyword Exact "the cluster";
    OrchestratorNamespace "orchestrator.namespace" "orchestrator_namespace" Keyword Entity "the namespace concerned";
    OrchestratorResourceType "orchestrator.resource.type" "orchestrator_resource_type" Keyword Exact "the kind of object: `pods`, `secrets`";
    OrchestratorResourceName "orchestrator.resource.name" "orchestrator_resource_name" Keyword Entity "the object's name";
    OrchestratorResourceSubresource "casebook.resource.subresource" "casebook_resource_subresource" Keyword Exact "`exec`, `log`, `status`, … of a Kubernetes object";
    OrchestratorApiVersion "orchestrator.api_version" "orchestrator_api_version" Keyword Exact "the API group and version of the object";
    KubernetesPodName "kubernetes.pod.name" "kubernetes_pod_name" Keyword Entity "the pod concerned";
    KubernetesPodUid "kubernetes.pod.uid" "kubernetes_pod_uid" Keyword Entity "its uid";
    KubernetesPodIp "kubernetes.pod.ip" "kubernetes_pod_ip" Keyword Entity "its address";
    KubernetesNodeName "kubernetes.node.name" "kubernetes_node_name" Keyword Entity "the node it runs on";
    KubernetesServiceAccount "kubernetes.service_account.name" "kubernetes_service_account_name" Keyword Entity "the service account, as `namespace:name`";
    KubernetesCredentialId "kubernetes.credential.id" "kubernetes_credential_id" Keyword Entity "which token or certificate was used: `JTI=…`, `X509SHA256=…`";
    KubernetesAuditStage "kubernetes.audit.stage" "kubernetes_audit_stage" Keyword Exact "the stage of the request that the event reports";
    AuditDecisive "casebook.audit.decisive" "casebook_audit_decisive" Keyword Exact "`true` on the stage of a request that rules evaluate, `false` on its others";
    PodImages "casebook.pod.images" "casebook_pod_images" Keywords Exact "every image of the pod asked for";
    PodRisks "casebook.pod.risks" "casebook_pod_risks" Keywords Exact "what the pod asked for may do to its node: `privileged`, `host_network`, `host_path:/etc`, `capability:SYS_ADMIN`, …";
    CloudProvider "cloud.provider" "cloud_provider" Keyword Exact "aws, gcp or azure";
    CloudAccountId "cloud.account.id" "cloud_account_id" Keyword Entity "account, project or subscription";
    CloudRegion "cloud.region" "cloud_region" Keyword Exact "the region";
    CloudServiceName "cloud.service.name" "cloud_service_name" Keyword Exact "the service called: `s3.amazonaws.com`";
    CloudInstanceId "cloud.instance.id" "cloud_instance_id" Keyword Entity "the virtual machine";
    AwsAccessKeyId "aws.cloudtrail.user_identity.access_key_id" "aws_cloudtrail_user_identity_access_key_id" Keyword Entity "the access key used";
    AwsUserArn "aws.cloudtrail.user_identity.arn" "aws_cloudtrail_user_identity_arn" Keyword Entity "the caller's ARN";
    AwsUserType "aws.cloudtrail.user_identity.type" "aws_cloudtrail_user_identity_type" Keyword Exact "IAMUser, AssumedRole, Root, …";
    UserAgentOriginal "user_agent.original" "user_agent_original" Keyword Exact "the caller's user agent";
    HttpRequestMethod "http.request.method" "http_request_method" Keyword Exact "GET, POST, …";
    HttpResponseStatusCode "http.response.status_code" "http_response_status_code" Long Exact "the HTTP status";
    HttpResponseBytes "http.response.body.bytes" "http_response_body_bytes" Long No "bytes of the answer";
    HttpRequestReferrer "http.request.referrer" "http_request_referrer" Keyword No "the page that the request came from";
    HttpVersion "http.version" "http_version" Keyword Exact "1.1, 2, …";
    UrlOriginal "url.original" "url_original" Keyword Exact "the whole URL as logged";
    UrlPath "url.path" "url_path" Keyword Exact "its path";
    UrlQuery "url.query" "url_query" Keyword No "its query, without the `?`";
    UrlDomain "url.domain" "url_domain" Keyword Exact "its host";
    DnsQuestionName "dns.question.name" "dns_question_name" Keyword Entity "the name asked for";
    ServiceName "service.name" "service_name" Keyword Entity "the application that logged";
    ServiceVersion "service.version" "service_version" Keyword Exact "its version";
    TraceId "trace.id" "trace_id" Keyword Exact "the distributed trace, as a caller may have begun it (`traceparent`): a claim, no entity";
    SpanId "span.id" "span_id" Keyword Exact "the span";
    SessionId "casebook.session.id" "casebook_session_id" Keyword Entity "the login session, where the source names one";
    Masked "casebook.masked" "casebook_masked" Keywords Exact "what kinds of secret were masked in the event";
    Truncated "casebook.truncated" "casebook_truncated" Keyword Exact "`true` where the record ended too early: what the event lacks may have stood after its end";
    TimeOrigin "casebook.time.origin" "casebook_time_origin" Keyword Exact "what is to be known of the time: not the record's own but `envelope`'s (of what carried it), the `broker`'s, or of the object's creation (`created`); or `ahead`: later than the broker got the record";
    Claimed "casebook.claimed" "casebook_claimed" Keywords Exact "what the record says of itself and the system beside it does not bear out: `program:sshd`, `container:ID`";
    IdentityVersion "casebook.identity.version" "casebook_identity_version" Long No "by which of its source's definitions the event id was made; not set: 1 (`docs/trust.md`)";
    CorrelationId "casebook.correlation.id" "casebook_correlation_id" Keyword Exact "what the source ties its own events together by: Azure correlation id, GCP operation id, request id. Most are taken over from the caller: a claim, no entity";
    RelatedIps "related.ip" "related_ip" Keywords Exact "every address in the event, also those that a client only claims: for searches, not for rules";
    ClaimedIps "casebook.claimed_ip" "casebook_claimed_ip" Keywords Exact "addresses that a client says it has or forwards for (`X-Forwarded-For` and the like), which nobody vouches for";
}

impl FieldId {
    /// The field's row of the table.
    pub fn info(self) -> &'static FieldInfo {
        &Self::INFO[self as usize]
    }

    /// The dotted ECS name.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// What the field holds, for people.
    pub fn doc(self) -> &'static str {
        Self::DOC[self as usize]
    }

    /// The field whose Parquet column has that name.
    pub fn from_column(column: &str) -> Option<FieldId> {
        Self::ALL.iter().copied().find(|id| id.info().column == column)
    }
}

impl fmt::Display for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The fields of the Sigma taxonomy's generic categories (Sigma specification, appendix "taxonomy"), and where each is
/// found. The first that an event has is taken.
pub const TAXONOMY: &[(&str, &[FieldId])] = &[
    ("Image", &[FieldId::ProcessExecutable, FieldId::ProcessName]),
    ("CommandLine", &[FieldId::ProcessCommandLine]),
    ("CurrentDirectory", &[FieldId::ProcessWorkingDirectory]),
    ("ProcessId", &[FieldId::ProcessPid]),
    (
        "ParentImage",
        &[FieldId::ProcessParentExecutable, FieldId::ProcessParentName],
    ),
    ("ParentCommandLine", &[FieldId::ProcessParentCommandLine]),
    ("ParentProcessId", &[FieldId::ProcessParentPid]),
    ("User", &[FieldId::UserName]),
    ("TargetUserName", &[FieldId::UserTargetName]),
    ("TargetFilename", &[FieldId::FilePath]),
    ("SourceIp", &[FieldId::SourceIp]),
    ("SourcePort", &[FieldId::SourcePort]),
    ("SourceHostname", &[FieldId::SourceAddress]),
    ("DestinationIp", &[FieldId::DestinationIp]),
    ("DestinationPort", &[FieldId::DestinationPort]),
    (
        "DestinationHostname",
        &[FieldId::DestinationDomain, FieldId::DestinationAddress],
    ),
    ("Initiated", &[FieldId::NetworkInitiated]),
    ("LogonId", &[FieldId::SessionId]),
    ("Protocol", &[FieldId::NetworkTransport, FieldId::NetworkProtocol]),
    ("Computer", &[FieldId::HostName]),
    ("Hostname", &[FieldId::HostName]),
    ("QueryName", &[FieldId::DnsQuestionName]),
    ("c-uri", &[FieldId::UrlOriginal]),
    ("c-useragent", &[FieldId::UserAgentOriginal]),
    ("cs-method", &[FieldId::HttpRequestMethod]),
    ("sc-status", &[FieldId::HttpResponseStatusCode]),
    ("c-ip", &[FieldId::SourceIp]),
    // A list that begins with what the client claims: of it, rules see the address that the request came from.
    ("sourceIPs", &[FieldId::SourceIp]),
    ("ka.sourceips", &[FieldId::SourceIp]),
    ("cs-user-agent", &[FieldId::UserAgentOriginal]),
    ("cs-referer", &[FieldId::HttpRequestReferrer]),
    ("cs-username", &[FieldId::UserName]),
    ("cs-host", &[FieldId::UrlDomain]),
    ("cs-uri", &[FieldId::UrlOriginal]),
    ("cs-uri-stem", &[FieldId::UrlPath]),
    // Rules look for paths here as much as for queries: the whole URL has both.
    ("cs-uri-query", &[FieldId::UrlOriginal, FieldId::UrlQuery]),
    ("c-uri-query", &[FieldId::UrlOriginal, FieldId::UrlQuery]),
];

/// A field as a rule or a query names it, resolved once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldRef {
    name: String,
    normalized: &'static [FieldId],
}

impl FieldRef {
    /// Resolves an ECS name, a Sigma taxonomy name, or else a dotted path into the source's own record.
    pub fn resolve(name: &str) -> Self {
        let normalized = match FieldId::from_name(name) {
            Some(id) => std::slice::from_ref(&FieldId::ALL[id as usize]),
            None => TAXONOMY
                .iter()
                .find(|(alias, _)| *alias == name)
                .map_or(&[][..], |(_, ids)| ids),
        };
        Self {
            name: name.to_owned(),
            normalized,
        }
    }

    /// The name as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the event's time (`@timestamp`), as RFC 3339 writes it in UTC.
    pub fn is_time(&self) -> bool {
        self.name == "@timestamp"
    }

    /// The normalized fields it stands for, first choice first; empty for a native path.
    pub fn normalized(&self) -> &'static [FieldId] {
        self.normalized
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_itself() {
        for &id in FieldId::ALL {
            let info = id.info();
            assert_eq!(info.column, info.name.replace('.', "_"));
            assert_eq!(FieldId::from_name(info.name), Some(id));
            assert_eq!(FieldId::from_column(info.column), Some(id));
            assert!(!id.doc().is_empty());
        }
        assert!(FieldId::ALL.len() < usize::from(u8::MAX));
    }

    #[test]
    fn names_resolve_in_order() {
        assert_eq!(FieldRef::resolve("user.name").normalized(), [FieldId::UserName]);
        assert_eq!(
            FieldRef::resolve("Image").normalized(),
            [FieldId::ProcessExecutable, FieldId::ProcessName]
        );
        assert!(FieldRef::resolve("objectRef.resource").normalized().is_empty());
    }
}
