//! In which clusters the events of an entity happened: one name may stand for a thing in each.

use std::collections::BTreeMap;

use casebook_event::{Event, FieldId, Source};

use super::entity_name::{EntityName, Kind};
use crate::output::{counted, escape};

/// Most clusters that are named.
const MOST_NAMED: usize = 8;

/// The events of each cluster; those that name none under the empty name.
#[derive(Debug, Default)]
pub struct Clusters(BTreeMap<String, usize>);

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

    /// What is to be said where the name stands for a thing in each of several clusters.
    pub fn ambiguous(&self, entity: &EntityName) -> Option<String> {
        let is_of_one = match entity.kind {
            Kind::Pod => entity.is_pod_uid(),
            Kind::Node | Kind::ServiceAccount | Kind::Namespace | Kind::Container | Kind::Ip => false,
            // A person, a program or an image may well be the same in all of them.
            _ => true,
        };
        if is_of_one || entity.cluster.is_some() || self.0.len() < 2 {
            return None;
        }
        let mut named: Vec<(&str, usize)> = self.0.iter().map(|(name, events)| (name.as_str(), *events)).collect();
        named.sort_by_key(|(name, events)| (std::cmp::Reverse(*events), *name));
        let shown: Vec<String> = named
            .iter()
            .take(MOST_NAMED)
            .map(|(name, events)| {
                let name = if name.is_empty() {
                    "no cluster named".into()
                } else {
                    escape(name)
                };
                format!("{name} ({})", counted(*events, "event"))
            })
            .collect();
        let more = match named.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let one = named
            .iter()
            .find(|(name, _)| !name.is_empty())
            .map_or("NAME", |(name, _)| name);
        Some(format!(
            "{} is ambiguous: {} clusters have one, {}{more}; --cluster {} tells of one alone",
            escape(&entity.to_string()),
            named.len(),
            shown.join(", "),
            escape(one)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::investigate::entry::tests::event;

    #[test]
    fn a_name_in_two_clusters_is_said_to_be_ambiguous() {
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
        let said = clusters.ambiguous(&pod).unwrap();
        assert!(
            said.starts_with(
                "pod:shop/web-1 is ambiguous: 3 clusters have one, east (2 events), no cluster named (1 event)"
            ),
            "{said}"
        );
        assert!(
            said.ends_with("--cluster east tells of one alone") && !said.contains('\u{1b}'),
            "{said}"
        );
        let of_east = EntityName::new(Kind::Pod, "east/shop/web-1").unwrap();
        assert_eq!(clusters.ambiguous(&of_east), None);
        let by_uid = EntityName::new(Kind::Pod, "5f1da4ff-f7bd-4a89-897b-5f406068b8fc").unwrap();
        assert_eq!(clusters.ambiguous(&by_uid), None);
    }
}
