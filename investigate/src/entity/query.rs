//! Which events concern an entity: by its name alone, and by all names that it is known to have had.

use std::collections::BTreeSet;

use casebook_event::{FieldId, Identifier, IdentifierKind};

use super::bindings::{ObservedBindings, Span};
use super::name::{EntityName, Kind};
use crate::query::{ADDRESSES, CLUSTER, Clause, EventQuery, Test};

/// Who acts in a cloud, which is in no cluster.
const OF_CLOUD: &[FieldId] = &[FieldId::UserId, FieldId::AwsUserArn, FieldId::AwsAccessKeyId];

/// What is known of an entity by its name alone; within its cluster, where one is named.
pub fn by_name(entity: &EntityName) -> EventQuery {
    let mut query = by_bare_name(entity);
    // A uid is of one cluster by itself.
    if let Some(cluster) = entity.cluster.as_deref().filter(|_| !entity.is_pod_uid()) {
        let of_cloud = |clause: &Clause| clause.parts.iter().any(|part| part.fields == OF_CLOUD);
        let clauses = std::mem::take(&mut query.clauses).into_iter();
        query.clauses = clauses
            .map(|clause| {
                if of_cloud(&clause) {
                    clause
                } else {
                    within(clause, cluster)
                }
            })
            .collect();
    }
    query
}

/// The same of events of that cluster alone, where one is named.
fn within(clause: Clause, cluster: &str) -> Clause {
    match cluster {
        "" => clause,
        _ => clause.and(CLUSTER, Test::Is(cluster.to_owned())),
    }
}

fn by_bare_name(entity: &EntityName) -> EventQuery {
    let value = entity.value.clone();
    let mut query = EventQuery::default();
    let mut any = |fields: &'static [FieldId], test: Test| query.push(Clause::any(fields, test));
    match entity.kind {
        Kind::Pod => return pod_by_name(entity),
        Kind::Container => {
            let is_id = value.len() >= 12 && value.bytes().all(|b| b.is_ascii_hexdigit());
            if is_id {
                any(&[FieldId::ContainerId], Test::Begins(short_id(&value)));
            } else {
                any(&[FieldId::ContainerName], Test::Is(value));
            }
        }
        Kind::Node => {
            any(
                &[FieldId::KubernetesNodeName, FieldId::HostName],
                Test::Is(value.clone()),
            );
            any(&[FieldId::UserName], Test::Is(format!("system:node:{value}")));
            query.push(object("nodes", &value, None));
        }
        Kind::User => {
            let names = &[
                FieldId::UserName,
                FieldId::UserEffectiveName,
                FieldId::UserTargetName,
                FieldId::UserAuditName,
            ];
            any(names, Test::Is(value.clone()));
            any(OF_CLOUD, Test::Is(value));
        }
        Kind::Ip if value.contains('/') => any(ADDRESSES, Test::Within(value)),
        Kind::Ip => {
            any(ADDRESSES, Test::Is(value.clone()));
            any(&[FieldId::SourceAddress, FieldId::DestinationAddress], Test::Is(value));
        }
        Kind::Image => image(&value, &mut query),
        Kind::Process => {
            let paths = &[FieldId::ProcessExecutable, FieldId::ProcessParentExecutable];
            if value.contains('/') {
                any(paths, Test::Is(value));
            } else {
                any(paths, Test::Ends(format!("/{value}")));
                any(&[FieldId::ProcessName, FieldId::ProcessParentName], Test::Is(value));
            }
        }
        Kind::ServiceAccount => {
            let (namespace, name) = entity.namespaced().unwrap_or(("", &value));
            let users = &[FieldId::UserName, FieldId::UserEffectiveName, FieldId::UserTargetName];
            any(users, Test::Is(format!("system:serviceaccount:{namespace}:{name}")));
            any(
                &[FieldId::KubernetesServiceAccount],
                Test::Is(format!("{namespace}:{name}")),
            );
            query.push(object("serviceaccounts", name, Some(namespace)));
        }
        Kind::Namespace => {
            any(&[FieldId::OrchestratorNamespace], Test::Is(value.clone()));
            any(&[FieldId::KubernetesServiceAccount], Test::Begins(format!("{value}:")));
            query.push(object("namespaces", &value, None));
        }
        // The entities of an alert or event are in its evidence or fields: see `subjects`.
        Kind::Event => query.ids.push(format!("{value}*")),
        Kind::Alert => {}
    }
    query
}

fn object(resource: &str, name: &str, namespace: Option<&str>) -> Clause {
    let clause = Clause::any(&[FieldId::OrchestratorResourceType], Test::Is(resource.to_owned()))
        .and(&[FieldId::OrchestratorResourceName], Test::Is(name.to_owned()));
    match namespace {
        Some(namespace) => clause.and(&[FieldId::OrchestratorNamespace], Test::Is(namespace.to_owned())),
        None => clause,
    }
}

fn pod_by_name(entity: &EntityName) -> EventQuery {
    let mut query = EventQuery::default();
    if entity.is_pod_uid() {
        let is = Test::Is(entity.value.clone());
        query.push(Clause::any(&[FieldId::KubernetesPodUid], is));
        // A uid is never given twice: whatever has it in its text is about the pod.
        query.texts.push(entity.value.clone());
        return query;
    }
    let (namespace, name) = match entity.namespaced() {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, entity.value.as_str()),
    };
    query.push(object("pods", name, namespace));
    let named = || Clause::any(&[FieldId::KubernetesPodName], Test::Is(name.to_owned()));
    match namespace {
        None => query.push(named()),
        Some(namespace) => {
            query.push(named().and(&[FieldId::OrchestratorNamespace], Test::Is(namespace.to_owned())));
            // What a pod asks of the API server is about objects of any namespace: its account's is its own.
            let account = Test::Begins(format!("{namespace}:"));
            query.push(named().and(&[FieldId::KubernetesServiceAccount], account));
        }
    }
    query
}

fn image(value: &str, query: &mut EventQuery) {
    const IMAGES: &[FieldId] = &[FieldId::ContainerImageName, FieldId::PodImages];
    let last = value.rsplit_once('/').map_or(value, |(_, last)| last);
    let tagged = last.contains([':', '@']);
    query.push(Clause::any(IMAGES, Test::Is(value.to_owned())));
    if !tagged {
        query.push(Clause::any(IMAGES, Test::Begins(format!("{value}:"))));
        query.push(Clause::any(IMAGES, Test::Begins(format!("{value}@"))));
    }
    // `alpine` is `docker.io/library/alpine`, and people leave registries out.
    query.push(Clause::any(IMAGES, Test::Ends(format!("/{value}"))));
    if !tagged {
        query.push(Clause::any(IMAGES, Test::Holds(format!("/{value}:"))));
    }
}

/// What concerns an entity by all the names that were observed of it, each in its time.
pub fn by_all_names(entity: &EntityName, bindings: &ObservedBindings) -> EventQuery {
    let mut query = by_name(entity);
    let names = bindings.names_of(entity);
    let of_kind =
        |kind: IdentifierKind| -> BTreeSet<&Identifier> { names.iter().filter(|id| id.kind == kind).collect() };
    let is = |id: &Identifier| Test::Is(id.value.to_string());
    match entity.kind {
        Kind::Pod => {
            for uid in of_kind(IdentifierKind::PodUid) {
                query.push(Clause::any(&[FieldId::KubernetesPodUid], is(uid)));
                if !query.texts.contains(&uid.value.to_string()) {
                    query.texts.push(uid.value.to_string());
                }
            }
            for name in of_kind(IdentifierKind::PodName) {
                let whole = EntityName {
                    kind: Kind::Pod,
                    value: name.value.to_string(),
                    cluster: Some(name.cluster.to_string()).filter(|cluster| !cluster.is_empty()),
                };
                by_name(&whole)
                    .clauses
                    .into_iter()
                    .for_each(|clause| query.push(clause));
            }
            for container in of_kind(IdentifierKind::ContainerId) {
                let clause = Clause::any(&[FieldId::ContainerId], Test::Begins(container.value.to_string()));
                query.push(within(clause, &container.cluster));
            }
            for Span { id, from, to } in bindings.addresses_of(&names) {
                let mut clause = within(Clause::any(ADDRESSES, is(&id)), &id.cluster);
                clause.within = Some((from, to));
                query.push(clause);
            }
        }
        Kind::Node => {
            for id in of_kind(IdentifierKind::InstanceId) {
                query.push(Clause::any(&[FieldId::CloudInstanceId, FieldId::HostId], is(id)));
            }
        }
        Kind::ServiceAccount | Kind::User => {}
        _ => return query,
    }
    for session in of_kind(IdentifierKind::RoleSession) {
        query.push(Clause::any(
            &[FieldId::AwsAccessKeyId, FieldId::AwsUserArn],
            is(session),
        ));
    }
    query
}

/// What may have other names of an entity: whatever names it, and whatever has its name in its text, as lists of pods do.
pub fn that_may_bind(entity: &EntityName) -> EventQuery {
    let mut query = by_name(entity);
    // Lists of pods and slices of endpoints have names and addresses in their texts alone; a user's name is a word that is
    // everywhere.
    if matches!(entity.kind, Kind::Pod | Kind::Node | Kind::Ip | Kind::ServiceAccount) {
        query.texts.extend(name_in_texts(entity));
    }
    query
}

/// The name as records write it in their texts.
pub fn name_in_texts(entity: &EntityName) -> Option<String> {
    match entity.kind {
        Kind::Alert | Kind::Event => None,
        Kind::Pod => Some(entity.namespaced().map_or(&*entity.value, |(_, name)| name).to_owned()),
        Kind::ServiceAccount => entity
            .namespaced()
            .map(|(namespace, name)| format!("{namespace}:{name}")),
        _ => Some(entity.value.clone()),
    }
}

/// The form that every source has a container's id in: its first twelve characters.
pub fn short_id(id: &str) -> String {
    id.chars().take(12).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use casebook_event::Timestamp;

    use super::*;
    use casebook_store::limits::MAX_QUERY_BYTES;

    use super::super::name::{Interpretation, parse};

    fn named(text: &str) -> EntityName {
        match parse(text) {
            Ok(Interpretation::Explicit(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    fn written(text: &str) -> String {
        let (query, cut) = by_name(&named(text)).write();
        assert!(!cut);
        casebook_store::check_query(&query).unwrap();
        query
    }

    #[test]
    fn queries_are_of_the_language_and_name_the_fields() {
        assert_eq!(
            written("pod:prod/web-1"),
            "(orchestrator.resource.type:\"pods\" AND orchestrator.resource.name:\"web-1\" AND orchestrator.namespace:\"prod\") \
             OR (kubernetes.pod.name:\"web-1\" AND orchestrator.namespace:\"prod\") \
             OR (kubernetes.pod.name:\"web-1\" AND kubernetes.service_account.name:prod\\:*)"
        );
        assert_eq!(written("container:0123456789abcdef0123"), "container.id:0123456789ab*");
        assert!(written("ip:10.0.0.1").starts_with("ip:\"10.0.0.1\" OR "));
        assert_eq!(written("ip:10.0.0.0/8"), "ip:10.0.0.0/8");
        assert!(written("process:/bin/sh").starts_with("(process.executable:\"/bin/sh\" OR "));
        assert!(written("process:sh").contains("process.executable:*\\/sh"));
        assert!(written("image:nginx").contains("container.image.name:nginx\\:*"));
        assert_eq!(
            written("node:east/n1"),
            "((kubernetes.node.name:\"n1\" OR host.name:\"n1\") AND orchestrator.cluster.name:\"east\") \
             OR (user.name:\"system:node:n1\" AND orchestrator.cluster.name:\"east\") \
             OR (orchestrator.resource.type:\"nodes\" AND orchestrator.resource.name:\"n1\" AND orchestrator.cluster.name:\"east\")"
        );
        let of_uid = "5f1da4ff-f7bd-4a89-897b-5f406068b8fc";
        let mut by_uid = named(&format!("pod:{of_uid}"));
        by_uid.cluster = Some("east".to_owned());
        assert!(!by_name(&by_uid).write().0.contains("cluster"));
        let alice = named("user:alice").in_cluster(Some("east")).unwrap();
        let of_alice = by_name(&alice).write().0;
        assert!(
            of_alice.contains("cluster.name:\"east\") OR (user.id:\"alice\" OR aws."),
            "{of_alice}"
        );
        for odd in ["user:a\"b\\c d*e", "node:n (1)", "image:r.io/a:1*", "ns:a b"] {
            written(odd);
        }
    }

    #[test]
    fn a_query_that_would_be_too_long_is_cut_and_says_so() {
        let mut query = by_name(&named("pod:prod/web-1"));
        for n in 0..2_000 {
            query.texts.push(format!("name-{n}"));
        }
        let (text, cut) = query.write();
        assert!(cut && text.len() <= MAX_QUERY_BYTES);
        casebook_store::check_query(&text).unwrap();
    }

    #[test]
    fn evidence_is_held_against_the_same_clauses() {
        let query = by_name(&named("pod:prod/web-1"));
        let names = |fields: &[(FieldId, &'static str)]| {
            query.names(Timestamp::MIN, &|id| {
                fields.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
            })
        };
        let pod = (FieldId::KubernetesPodName, "WEB-1");
        assert!(names(&[pod, (FieldId::OrchestratorNamespace, "prod")]));
        assert!(names(&[pod, (FieldId::KubernetesServiceAccount, "prod:web")]));
        assert!(!names(&[pod, (FieldId::OrchestratorNamespace, "test")]));
        assert!(!names(&[(FieldId::OrchestratorNamespace, "prod")]));
    }
}
