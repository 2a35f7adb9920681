//! One event as a line of a story: who did what to what, and how it went.

use casebook_event::{Event, EventId, FieldId, Source, Timestamp};

/// Longest text of an event's detail, in characters.
const MAX_DETAIL_CHARS: usize = 160;
/// Characters of a text that set one kind of line apart from another.
const MAX_TEMPLATE_CHARS: usize = 80;

/// The fields that a line is made of.
pub const FIELDS: &[FieldId] = &[
    FieldId::CloudServiceName,
    FieldId::ContainerId,
    FieldId::ContainerName,
    FieldId::DestinationAddress,
    FieldId::DestinationIp,
    FieldId::DestinationPort,
    FieldId::ErrorType,
    FieldId::EventAction,
    FieldId::EventOutcome,
    FieldId::FilePath,
    FieldId::HostName,
    FieldId::HttpRequestMethod,
    FieldId::HttpResponseStatusCode,
    FieldId::KubernetesPodName,
    FieldId::Message,
    FieldId::OrchestratorClusterName,
    FieldId::OrchestratorNamespace,
    FieldId::OrchestratorResourceName,
    FieldId::OrchestratorResourceSubresource,
    FieldId::OrchestratorResourceType,
    FieldId::ProcessCommandLine,
    FieldId::ProcessName,
    FieldId::RuleName,
    FieldId::ServiceName,
    FieldId::SourceAddress,
    FieldId::SourceIp,
    FieldId::UrlOriginal,
    FieldId::UrlPath,
    FieldId::UserAgentOriginal,
    FieldId::UserEffectiveName,
    FieldId::UserName,
];

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identity.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// What kind of log it is from.
    pub source: Source,
    /// Who acted, in the form that can be asked about: `sa:prod/web`, `node:n1`, else the plain name.
    pub who: String,
    /// The address that it came from.
    pub from: Option<String>,
    /// What was done, in the source's words.
    pub action: Option<String>,
    /// The kind of object: `pods/exec`, a cloud's service.
    pub kind: Option<String>,
    /// The object, as far as it is named.
    pub object: Option<String>,
    /// How it went, where that is not well.
    pub outcome: Option<String>,
    /// What else there is to say: a command, a path, an address, the text.
    pub detail: Option<String>,
    /// Whether it is one of the many that say that all is as it was: reads by the system's own parts, probes, statistics.
    pub routine: bool,
    /// Whether an alert of the story cites it.
    pub cited: bool,
    /// Events with the same key are one line.
    pub key: String,
}

impl Entry {
    /// What an event says, of which [`FIELDS`] were read, and the record where [`Entry::is_in_record`].
    pub fn of(event: &Event) -> Self {
        let text = |id: FieldId| event.fields.get(id).map(|value| value.to_text().into_owned());
        let (who, user) = who(event, &text);
        let from = text(FieldId::SourceIp).or_else(|| text(FieldId::SourceAddress));
        let method = text(FieldId::HttpRequestMethod).filter(|_| event.source != Source::KubernetesAudit);
        let action = text(FieldId::EventAction).or_else(|| method.clone());
        let kind = kind(&text);
        let object = object(&text)
            .or_else(|| method.and_then(|_| text(FieldId::UrlOriginal).or_else(|| text(FieldId::UrlPath))));
        let outcome = outcome(&text);
        let detail = detail(event, &text);
        let routine = is_routine(event, user.as_deref(), &text);
        let command = text(FieldId::ProcessCommandLine).unwrap_or_default();
        // Where the action does not say what happened, the text does.
        let said = match (&action, &detail) {
            (None, Some(detail)) => template(detail),
            _ if is_process(event.source) || kind.is_some() => template(&command),
            _ => String::new(),
        };
        let name = |id| text(id).unwrap_or_default();
        let key = [
            event.source.name(),
            &who,
            from.as_deref().unwrap_or_default(),
            action.as_deref().unwrap_or_default(),
            kind.as_deref().unwrap_or_default(),
            outcome.as_deref().unwrap_or_default(),
            &name(FieldId::ProcessName),
            &name(FieldId::RuleName),
            &template(&name(FieldId::UrlPath)),
            &said,
        ]
        .join("\u{1f}");
        Self {
            id: event.id,
            time: event.time,
            source: event.source,
            who,
            from,
            action,
            kind,
            object,
            outcome,
            detail,
            routine,
            cited: false,
            key,
        }
    }

    /// Whether no field of an event says what happened, so that its record must.
    pub fn is_in_record(event: &Event) -> bool {
        let silent = [
            FieldId::Message,
            FieldId::EventAction,
            FieldId::UrlOriginal,
            FieldId::ProcessCommandLine,
        ];
        let has_own_words = matches!(
            event.source,
            Source::KubernetesAudit | Source::CloudTrail | Source::ContainerStats
        );
        !has_own_words && silent.iter().all(|id| event.fields.get(*id).is_none())
    }

    /// What was done, without the object: `get pods/exec`.
    pub fn deed(&self) -> String {
        let parts = [self.action.as_deref(), self.kind.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

type Text<'a> = &'a dyn Fn(FieldId) -> Option<String>;

/// Who acted as it is shown, and the user's plain name.
fn who(event: &Event, text: Text<'_>) -> (String, Option<String>) {
    let user = text(FieldId::UserName);
    if let Some(user) = &user {
        let shown = match text(FieldId::UserEffectiveName) {
            Some(became) if became != *user => format!("{} as {}", short_user(user), short_user(&became)),
            _ => short_user(user),
        };
        return (shown, Some(user.clone()));
    }
    let pod = text(FieldId::KubernetesPodName).map(|pod| match text(FieldId::OrchestratorNamespace) {
        Some(namespace) => format!("pod:{namespace}/{pod}"),
        None => format!("pod:{pod}"),
    });
    let shown = pod
        .or_else(|| text(FieldId::ServiceName))
        .or_else(|| text(FieldId::ContainerName))
        .or_else(|| text(FieldId::HostName).map(|host| format!("node:{host}")))
        .or_else(|| text(FieldId::ContainerId))
        .unwrap_or_else(|| event.position.topic.to_string());
    (shown, None)
}

/// The API server's names for accounts and nodes in the form that can be asked about.
fn short_user(user: &str) -> String {
    if let Some(node) = user.strip_prefix("system:node:") {
        return format!("node:{node}");
    }
    match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, name)) => format!("sa:{namespace}/{name}"),
        None => user.to_owned(),
    }
}

fn kind(text: Text<'_>) -> Option<String> {
    match (
        text(FieldId::OrchestratorResourceType),
        text(FieldId::OrchestratorResourceSubresource),
    ) {
        (Some(resource), Some(sub)) => Some(format!("{resource}/{sub}")),
        (Some(resource), None) => Some(resource),
        _ => text(FieldId::CloudServiceName),
    }
}

fn object(text: Text<'_>) -> Option<String> {
    text(FieldId::OrchestratorResourceType)?;
    match (
        text(FieldId::OrchestratorNamespace),
        text(FieldId::OrchestratorResourceName),
    ) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        (Some(namespace), None) => Some(format!("in {namespace}")),
        (None, name) => name,
    }
}

fn outcome(text: Text<'_>) -> Option<String> {
    let status = text(FieldId::HttpResponseStatusCode);
    let refused = status.filter(|status| status.as_str() >= "400");
    match (text(FieldId::EventOutcome), refused) {
        (Some(outcome), Some(status)) if outcome != "success" => Some(format!("{outcome} {status}")),
        (_, Some(status)) => Some(status),
        (Some(outcome), None) if outcome == "failure" => Some(outcome),
        _ => None,
    }
}

fn is_process(source: Source) -> bool {
    matches!(source, Source::Auditd | Source::Falco | Source::Tetragon | Source::Auth)
}

fn detail(event: &Event, text: Text<'_>) -> Option<String> {
    if let Some(command) = text(FieldId::ProcessCommandLine) {
        return Some(format!("$ {}", shortened(&command)));
    }
    let place = text(FieldId::FilePath).or_else(|| {
        let to = text(FieldId::DestinationIp).or_else(|| text(FieldId::DestinationAddress))?;
        Some(match text(FieldId::DestinationPort) {
            Some(port) => format!("to {to} port {port}"),
            None => format!("to {to}"),
        })
    });
    let said = match event.source {
        // Its message is the API server's about its own answer; the action and object say it all.
        Source::KubernetesAudit | Source::CloudTrail => text(FieldId::ErrorType),
        Source::ContainerStats => None,
        _ => text(FieldId::Message).or_else(|| Entry::is_in_record(event).then(|| event.raw.to_string())),
    };
    let parts: Vec<String> = [place, said].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| shortened(&parts.join(" ")))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_DETAIL_CHARS {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(MAX_DETAIL_CHARS).collect();
    kept.push('…');
    kept
}

/// The text without what differs from one line of its kind to the next: whatever has a digit in it.
fn template(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        if word.bytes().any(|b| b.is_ascii_digit()) {
            "#"
        } else {
            word
        }
    });
    let joined = words.collect::<Vec<_>>().join(" ");
    joined.chars().take(MAX_TEMPLATE_CHARS).collect()
}

const PROBED: &[&str] = &[
    "/healthz", "/readyz", "/livez", "/health", "/ready", "/live", "/ping", "/metrics", "/version",
];
const PROBERS: &[&str] = &["kube-probe/", "ELB-HealthChecker/", "GoogleHC/", "Prometheus/"];

fn is_routine(event: &Event, user: Option<&str>, text: Text<'_>) -> bool {
    if event.source == Source::ContainerStats {
        return true;
    }
    if outcome(text).is_some() {
        return false;
    }
    let path = text(FieldId::UrlPath).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let agent = text(FieldId::UserAgentOriginal).unwrap_or_default();
    if event.source != Source::KubernetesAudit {
        return PROBED.contains(&path) || PROBERS.iter().any(|prober| agent.starts_with(prober));
    }
    let Some(user) = user else { return false };
    let system = user.starts_with("system:serviceaccount:kube-system:")
        || (user.starts_with("system:") && !user.starts_with("system:serviceaccount:") && user != "system:anonymous");
    if PROBED.contains(&path) {
        return system || user == "system:anonymous";
    }
    let verb = text(FieldId::EventAction).unwrap_or_default();
    let resource = text(FieldId::OrchestratorResourceType).unwrap_or_default();
    let deliberate = text(FieldId::OrchestratorResourceSubresource).is_some_and(|sub| {
        [
            "exec",
            "attach",
            "portforward",
            "proxy",
            "log",
            "token",
            "ephemeralcontainers",
        ]
        .contains(&&*sub)
    });
    let read = matches!(verb.as_str(), "get" | "list" | "watch");
    let renewed = resource == "leases" && matches!(verb.as_str(), "update" | "patch");
    // A stolen credential of the system's is seen by what it reads.
    system && !deliberate && resource != "secrets" && (read || renewed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    /// A line is the same whether the event was read whole or by [`FIELDS`] alone.
    #[test]
    fn a_line_is_made_of_its_fields() {
        for &source in Source::ALL {
            for &more in FieldId::ALL {
                let values: Vec<(FieldId, &str)> = FieldId::ALL
                    .iter()
                    .filter(|id| FIELDS.contains(id) || **id == more)
                    .map(|id| (*id, "x-1"))
                    .collect();
                for values in [values.as_slice(), &[(more, "x-1")]] {
                    let whole = event(source, 7, values);
                    let mut read = whole.clone();
                    let fields = whole.fields.iter().filter(|(id, _)| FIELDS.contains(id));
                    read.fields = fields.map(|(id, value)| (id, value.clone())).collect();
                    assert_eq!(
                        Entry::is_in_record(&read),
                        Entry::is_in_record(&whole),
                        "{source:?} {more:?}"
                    );
                    if !Entry::is_in_record(&read) {
                        read.raw.clear();
                    }
                    assert_eq!(Entry::of(&read), Entry::of(&whole), "{source:?} {more:?}");
                }
            }
        }
    }

    #[test]
    fn an_event_says_who_did_what() {
        let exec = Entry::of(&event(
            Source::KubernetesAudit,
            1,
            &[
                (FieldId::UserName, "system:serviceaccount:prod:web"),
                (FieldId::SourceIp, "203.0.113.7"),
                (FieldId::EventAction, "get"),
                (FieldId::EventOutcome, "failure"),
                (FieldId::HttpResponseStatusCode, "403"),
                (FieldId::OrchestratorNamespace, "prod"),
                (FieldId::OrchestratorResourceType, "pods"),
                (FieldId::OrchestratorResourceSubresource, "exec"),
                (FieldId::OrchestratorResourceName, "web-1"),
                (FieldId::ProcessCommandLine, "/bin/sh"),
            ],
        ));
        assert_eq!(exec.who, "sa:prod/web");
        assert_eq!(exec.deed(), "get pods/exec");
        assert_eq!(exec.object.as_deref(), Some("prod/web-1"));
        assert_eq!(exec.outcome.as_deref(), Some("failure 403"));
        assert_eq!(exec.detail.as_deref(), Some("$ /bin/sh"));
        assert!(!exec.routine);
        let log = Entry::of(&event(
            Source::ContainerLog,
            1,
            &[(FieldId::KubernetesPodName, "web-1")],
        ));
        assert_eq!(
            (log.who.as_str(), log.detail.as_deref()),
            ("pod:web-1", Some("raw text"))
        );
    }

    #[test]
    fn what_differs_in_numbers_alone_has_one_key() {
        let key = |message: &str| Entry::of(&event(Source::ContainerLog, 1, &[(FieldId::Message, message)])).key;
        assert_eq!(key("flushed 12 of 40"), key("flushed 13 of 41"));
        assert_ne!(key("child started: cat /token"), key("child started: curl http://x1"));
        let run = |command: &str| {
            Entry::of(&event(
                Source::Auditd,
                1,
                &[
                    (FieldId::EventAction, "executed"),
                    (FieldId::ProcessCommandLine, command),
                ],
            ))
            .key
        };
        assert_ne!(run("id"), run("cat /etc/shadow"));
    }

    #[test]
    fn routine_is_what_the_system_reads() {
        let routine = |user: &str, verb: &str, resource: &str, status: &str| {
            let fields = [
                (FieldId::UserName, user),
                (FieldId::EventAction, verb),
                (FieldId::OrchestratorResourceType, resource),
                (FieldId::HttpResponseStatusCode, status),
            ];
            Entry::of(&event(Source::KubernetesAudit, 1, &fields)).routine
        };
        assert!(routine("system:node:n1", "get", "pods", "200"));
        assert!(routine("system:kube-scheduler", "update", "leases", "200"));
        assert!(!routine("system:kube-scheduler", "create", "pods", "201"));
        assert!(!routine("system:node:n1", "get", "secrets", "200"));
        assert!(!routine("system:node:n1", "get", "pods", "403"));
        assert!(!routine("system:anonymous", "list", "pods", "200"));
        assert!(!routine("system:serviceaccount:prod:web", "list", "pods", "200"));
        assert!(!routine("alice", "list", "pods", "200"));
        let probe = event(Source::WebAccess, 1, &[(FieldId::UrlPath, "/healthz/")]);
        assert!(Entry::of(&probe).routine);
    }
}
