//! In which clusters the events of an entity happened: one name may stand for a thing in each.

use std::collections::BTreeMap;

use casebook_event::{Event, FieldId, Source};

use super::name::{EntityName, Kind};
use crate::answer::Candidate;

/// The events of each cluster; those that name none under the empty name.
#[derive(Debug, Default)]
pub struct Clusters(BTreeMap<String, u64>);

impl Clusters {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        // A cloud's log is about an account: the cluster that it names is what was asked for.
        if matches!(
            event.source,
            Source::CloudTrail | Source::GcpAudit | Source::AzureActivity
        ) {
            return;
        }
        let name = event.fields.get(FieldId::OrchestratorClusterName);
        *self
            .0
            .entry(name.map(|name| name.to_text().into_owned()).unwrap_or_default())
            .or_default() += 1;
    }

    /// The clusters in which the name stands for a thing each, where they are several: those with most events first.
    pub fn ambiguous(&self, entity: &EntityName) -> Option<Vec<Candidate>> {
        let is_of_one = match entity.kind {
            Kind::Pod => entity.is_pod_uid(),
            Kind::Node | Kind::ServiceAccount | Kind::Namespace | Kind::Container | Kind::Ip => false,
            // A person, a program or an image may well be the same in all of them.
            _ => true,
        };
        if is_of_one || entity.cluster.is_some() || self.0.len() < 2 {
            return None;
        }
        let mut named: Vec<(&String, &u64)> = self.0.iter().collect();
        named.sort_by_key(|(name, events)| (std::cmp::Reverse(**events), *name));
        let candidates = named.into_iter().map(|(name, events)| Candidate {
            name: name.clone(),
            events: Some(*events),
        });
        Some(candidates.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::event;

    #[test]
    fn a_name_in_two_clusters_is_ambiguous() {
        let mut clusters = Clusters::default();
        let pod = EntityName::new(Kind::Pod, "shop/web-1").unwrap();
        let of =
            |source: Source, cluster: &'static str| event(source, 1, &[(FieldId::OrchestratorClusterName, cluster)]);
        clusters.count(&of(Source::KubernetesAudit, "east"));
        clusters.count(&of(Source::CloudTrail, "west"));
        assert_eq!(clusters.ambiguous(&pod), None);
        clusters.count(&of(Source::ContainerLog, "east"));
        clusters.count(&of(Source::ContainerLog, "we\u{1b}st"));
        clusters.count(&event(Source::Kubelet, 1, &[]));
        let found = clusters.ambiguous(&pod).unwrap();
        let shown: Vec<(&str, Option<u64>)> = found.iter().map(|one| (one.name.as_str(), one.events)).collect();
        assert_eq!(shown, [("east", Some(2)), ("", Some(1)), ("we\u{1b}st", Some(1))]);
        let of_east = EntityName::new(Kind::Pod, "east/shop/web-1").unwrap();
        assert_eq!(clusters.ambiguous(&of_east), None);
        let by_uid = EntityName::new(Kind::Pod, "5f1da4ff-f7bd-4a89-897b-5f406068b8fc").unwrap();
        assert_eq!(clusters.ambiguous(&by_uid), None);
    }
}
