//! What an alert or an event is about: who acted, from where, on what.

use casebook_event::{Alert, Event, FieldId, Source};

use super::query::short_id;
use crate::query::{ADDRESSES, CLUSTER, Clause, EventQuery, Test};

/// Most clauses that the evidence of one alert gives.
const MAX_CLAUSES: usize = 60;

const HOST: &[FieldId] = &[FieldId::HostName];
const SERVICE: &[FieldId] = &[FieldId::ServiceName];

/// The events that an alert cites, and those about whom and what these name.
pub fn of_alert(alert: &Alert) -> EventQuery {
    let mut query = EventQuery::default();
    for evidence in &alert.evidence {
        query.ids.push(evidence.event_id.to_string());
        let text = |id: FieldId| evidence.entities.get(id.name()).map(|value| value.to_string());
        add(evidence.source, &text, &mut query);
    }
    query
}

/// An event, and those about whom and what it names.
pub fn of_event(event: &Event) -> EventQuery {
    let mut query = EventQuery::default();
    query.ids.push(event.id.to_string());
    let text = |id: FieldId| event.fields.get(id).map(|value| value.to_text().into_owned());
    add(event.source, &text, &mut query);
    query
}

fn add(source: Source, text: &dyn Fn(FieldId) -> Option<String>, query: &mut EventQuery) {
    let mut push = |clause: Clause| {
        if query.clauses.len() < MAX_CLAUSES {
            query.push(clause);
        }
    };
    // A name that was tried in vain is nobody yet, and a cloud role is worn by many: its key is who acted.
    let key = text(FieldId::AwsAccessKeyId);
    let refused = text(FieldId::EventOutcome).is_some_and(|outcome| outcome == "failure");
    let acted = key.is_none() && !(refused && text(FieldId::SourceIp).is_some());
    if let Some(user) = text(FieldId::UserName).filter(|user| acted && !is_of_the_system(user)) {
        let clause = Clause::any(&[FieldId::UserName], Test::Is(user));
        // `root` is someone else on every machine, and `admin` in every application.
        let place = match source {
            Source::Auth
            | Source::Auditd
            | Source::Journald
            | Source::Falco
            | Source::Tetragon
            | Source::FileIntegrity => text(FieldId::HostName).map(|host| (HOST, host)),
            Source::Application | Source::WebAccess | Source::ContainerLog => {
                text(FieldId::ServiceName).map(|service| (SERVICE, service))
            }
            Source::KubernetesAudit => text(FieldId::OrchestratorClusterName).map(|name| (CLUSTER, name)),
            _ => None,
        };
        push(match place {
            Some((fields, place)) => clause.and(fields, Test::Is(place)),
            None => clause,
        });
    }
    if let Some(ip) = text(FieldId::SourceIp).filter(|ip| is_somebodys(ip)) {
        push(Clause::any(ADDRESSES, Test::Is(ip)));
    }
    if let Some(pod) = text(FieldId::KubernetesPodName) {
        let clause = Clause::any(&[FieldId::KubernetesPodName], Test::Is(pod));
        // In an audit event that is not about a pod, the namespace is that of another object.
        let about_pod = text(FieldId::OrchestratorResourceType).is_none_or(|kind| kind == "pods");
        let clause = match text(FieldId::OrchestratorNamespace).filter(|_| about_pod) {
            Some(namespace) => clause.and(&[FieldId::OrchestratorNamespace], Test::Is(namespace)),
            None => clause,
        };
        push(match text(FieldId::OrchestratorClusterName) {
            Some(cluster) => clause.and(CLUSTER, Test::Is(cluster)),
            None => clause,
        });
    }
    if let Some(id) = text(FieldId::ContainerId) {
        push(Clause::any(&[FieldId::ContainerId], Test::Begins(short_id(&id))));
    }
    if let Some(key) = key {
        push(Clause::any(&[FieldId::AwsAccessKeyId], Test::Is(key)));
    }
}

/// Whether it is a part of the system that does something everywhere all the time.
fn is_of_the_system(user: &str) -> bool {
    user.starts_with("system:") && !user.starts_with("system:serviceaccount:") && user != "system:anonymous"
}

fn is_somebodys(ip: &str) -> bool {
    ip.parse::<std::net::IpAddr>()
        .is_ok_and(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    #[test]
    fn an_event_is_about_who_acted_and_on_what() {
        let query = of_event(&event(
            Source::Auth,
            1,
            &[
                (FieldId::UserName, "root"),
                (FieldId::HostName, "bastion"),
                (FieldId::SourceIp, "203.0.113.7"),
            ],
        ));
        assert_eq!(
            query.write().0,
            "(user.name:\"root\" AND host.name:\"bastion\") OR ip:\"203.0.113.7\" \
             OR event_id:00000000000000000000000000000001"
        );
        let tried = of_event(&event(
            Source::Auth,
            1,
            &[
                (FieldId::UserName, "root"),
                (FieldId::SourceIp, "203.0.113.7"),
                (FieldId::EventOutcome, "failure"),
            ],
        ));
        assert!(tried.write().0.starts_with("ip:\"203.0.113.7\" OR event_id:"));
        let role = of_event(&event(
            Source::CloudTrail,
            1,
            &[(FieldId::UserName, "node-role"), (FieldId::AwsAccessKeyId, "ASIA1")],
        ));
        assert!(
            role.write()
                .0
                .starts_with("aws.cloudtrail.user_identity.access_key_id:\"ASIA1\" OR event_id:")
        );
        let query = of_event(&event(
            Source::KubernetesAudit,
            1,
            &[
                (FieldId::UserName, "system:kube-scheduler"),
                (FieldId::SourceIp, "::1"),
                (FieldId::KubernetesPodName, "web-1"),
                (FieldId::OrchestratorNamespace, "vault"),
                (FieldId::OrchestratorResourceType, "secrets"),
            ],
        ));
        assert!(
            query
                .write()
                .0
                .starts_with("kubernetes.pod.name:\"web-1\" OR event_id:")
        );
    }
}
