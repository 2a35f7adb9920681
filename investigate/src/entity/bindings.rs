//! What the events of an entity say about its other names: which stood for which, when, and how surely.

use std::collections::{BTreeMap, BTreeSet};

use casebook_correlate::{Bindings, EntityKind, bindings_of};
use casebook_event::{Binding, Confidence, Event, How, Identifier, IdentifierKind, Timestamp};
use serde::Serialize;

use super::name::{EntityName, Kind};
use crate::answer::Grade;

/// Most pairs of names that are kept; of more, those observed first.
const MAX_BINDINGS: usize = 50_000;
/// How long an address is believed after it was last reported, as `docs/entities.md` says.
const ADDRESS_HOLDS_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// How long an end is not believed yet.
const LINGER_NANOS: i64 = 60 * 1_000_000_000;
/// Names of one kind that go into a query, at most.
const MAX_NAMES: usize = 40;

/// That one name stood for another, by all events that say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObservedBinding {
    /// What stood for something.
    pub from: Identifier,
    /// What it stood for.
    pub to: Identifier,
    /// When it was first reported to hold.
    pub first: Timestamp,
    /// When it was last reported to hold.
    pub last: Timestamp,
    /// When it, or either of its names, was reported to have ended.
    pub ended: Option<Timestamp>,
    /// How often it was reported.
    #[serde(rename = "told")]
    pub times: u64,
    /// The greatest confidence with which it was reported.
    pub confidence: Confidence,
    /// By what it was reported so.
    #[serde(rename = "by")]
    pub how: How,
}

impl ObservedBinding {
    /// How certain it is.
    pub fn grade(&self) -> Grade {
        Grade::from(self.confidence)
    }
}

/// A name and the time in which it was the entity's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The name.
    pub id: Identifier,
    /// From here on.
    pub from: Timestamp,
    /// Before this.
    pub to: Timestamp,
}

/// All that was observed.
#[derive(Debug, Default)]
pub struct ObservedBindings {
    bindings: Bindings,
    observed: BTreeMap<(Identifier, Identifier), ObservedBinding>,
    /// Of a name itself under the name twice.
    ends: BTreeMap<(Identifier, Identifier), BTreeSet<Timestamp>>,
    /// Of one event; kept for its allocation.
    scratch: Vec<Binding>,
}

impl ObservedBindings {
    /// Takes in what an event says, and so many others like it do.
    pub fn observe(&mut self, event: &Event, times: u64) {
        let mut scratch = std::mem::take(&mut self.scratch);
        bindings_of(event, &mut scratch);
        for binding in scratch.drain(..) {
            self.add(binding, times);
        }
        self.scratch = scratch;
    }

    fn add(&mut self, binding: Binding, times: u64) {
        self.bindings.learn(&binding);
        let Binding {
            from,
            to,
            time,
            ends,
            how,
            confidence,
        } = binding;
        if ends {
            if self.ends.len() < MAX_BINDINGS {
                self.ends.entry((from, to)).or_default().insert(time);
            }
            return;
        }
        if from == to {
            return;
        }
        let full = self.observed.len() >= MAX_BINDINGS;
        let key = (from, to);
        if full && !self.observed.contains_key(&key) {
            return;
        }
        let pair = self
            .observed
            .entry(key)
            .or_insert_with_key(|(from, to)| ObservedBinding {
                from: from.clone(),
                to: to.clone(),
                first: time,
                last: time,
                ended: None,
                times: 0,
                confidence,
                how,
            });
        pair.first = pair.first.min(time);
        pair.last = pair.last.max(time);
        pair.times += times;
        if confidence > pair.confidence {
            (pair.confidence, pair.how) = (confidence, how);
        }
    }

    /// Every name of the entity that was observed, its own among them: of a pod its uids, names and containers, of a node
    /// its machines and addresses, of an account the sessions that it took on.
    pub fn names_of(&self, entity: &EntityName) -> BTreeSet<Identifier> {
        use IdentifierKind::{
            ContainerId, Identity, InstanceId, NodeIp, NodeName, PodIp, PodName, PodUid, RoleSession, ServiceAccount,
        };
        // Of any cluster, where none was said: what two of them call alike is then taken together.
        let own = |kind: IdentifierKind| {
            let bare = Identifier::new(kind, &entity.value);
            let named = entity
                .cluster
                .iter()
                .filter_map(|cluster| Some(bare.clone()?.within(cluster)));
            let known = bare.iter().flat_map(|bare| self.like(bare, entity)).take(MAX_NAMES);
            let unknown = bare.clone().filter(|bare| entity.is_in(&bare.cluster));
            named.chain(known).chain(unknown).collect::<Vec<_>>()
        };
        let mut names: BTreeSet<Identifier> = BTreeSet::new();
        match entity.kind {
            Kind::Pod if entity.is_pod_uid() => names.extend(own(PodUid)),
            Kind::Pod if entity.namespaced().is_some() => names.extend(own(PodName)),
            // The namespace was not said: every pod of the name is meant.
            Kind::Pod => {
                let ends = format!("/{}", entity.value);
                let all = self.observed.keys().flat_map(|(from, to)| [from, to]);
                names.extend(
                    all.filter(|id| id.kind == PodName && id.value.ends_with(&ends) && entity.is_in(&id.cluster))
                        .take(MAX_NAMES)
                        .cloned(),
                );
            }
            Kind::Container => names.extend(own(ContainerId)),
            Kind::Node => names.extend(own(NodeName)),
            Kind::ServiceAccount => names.extend(own(ServiceAccount)),
            Kind::User => names.extend([own(Identity), own(RoleSession)].concat()),
            Kind::Ip => names.extend([own(PodIp), own(NodeIp)].concat()),
            Kind::Image => names.extend(own(IdentifierKind::Image)),
            Kind::Process | Kind::Namespace | Kind::Alert | Kind::Event => {}
        }
        // A name and a uid lead to each other; what only belongs to the entity leads no further.
        let same = [PodName, PodUid];
        for _ in 0..2 {
            let more: Vec<Identifier> = self
                .observed
                .keys()
                .filter(|(from, to)| same.contains(&from.kind) && same.contains(&to.kind))
                .flat_map(|(from, to)| [(from, to), (to, from)])
                .filter(|(known, _)| names.contains(*known))
                .map(|(_, other)| other.clone())
                .collect();
            names.extend(more.into_iter().take(MAX_NAMES));
        }
        // A node's containers are bound to it, and none of its names.
        let belongs: &[IdentifierKind] = match entity.kind {
            Kind::Pod => &[ContainerId, RoleSession],
            Kind::Node => &[InstanceId, NodeIp],
            Kind::ServiceAccount | Kind::User => &[RoleSession],
            _ => &[],
        };
        let owned: Vec<Identifier> = self
            .observed
            .keys()
            .filter(|(from, to)| names.contains(to) && belongs.contains(&from.kind))
            .map(|(from, _)| from.clone())
            .take(MAX_NAMES)
            .collect();
        names.extend(owned);
        names
    }

    /// What is called so in the clusters that are meant.
    fn like(&self, bare: &Identifier, entity: &EntityName) -> Vec<Identifier> {
        let all = self.observed.keys().flat_map(|(from, to)| [from, to]);
        let found: BTreeSet<&Identifier> = all
            .filter(|id| id.kind == bare.kind && id.value == bare.value && entity.is_in(&id.cluster))
            .collect();
        found.into_iter().cloned().collect()
    }

    /// The pod addresses that these names had, each with the times in which it led to them and was no node's.
    pub fn addresses_of(&self, names: &BTreeSet<Identifier>) -> Vec<Span> {
        let own: BTreeSet<String> = names
            .iter()
            .filter(|id| matches!(id.kind, IdentifierKind::PodName | IdentifierKind::PodUid))
            .map(|id| id.qualified().into())
            .collect();
        let addresses: BTreeSet<&Identifier> = self
            .observed
            .keys()
            .filter(|(from, to)| from.kind == IdentifierKind::PodIp && names.contains(to))
            .map(|(from, _)| from)
            .collect();
        addresses
            .into_iter()
            .take(MAX_NAMES)
            .flat_map(|address| self.spans(address, &own))
            .collect()
    }

    fn spans(&self, address: &Identifier, own: &BTreeSet<String>) -> Vec<Span> {
        // What an address leads to changes only where something of it, or of what it leads to, was reported.
        let mut times: BTreeSet<Timestamp> = BTreeSet::new();
        for pair in self.observed.values().filter(|pair| same_name(&pair.from, address)) {
            times.extend([pair.first, pair.last, after(pair.last, ADDRESS_HOLDS_NANOS)]);
            times.extend(self.ends_of(pair).map(|end| after(end, LINGER_NANOS)));
        }
        let mut spans: Vec<Span> = Vec::new();
        let times: Vec<Timestamp> = times.into_iter().collect();
        for (n, from) in times.iter().enumerate() {
            let found = self.bindings.resolve(address, EntityKind::Pod, *from);
            let is_own = found
                .entity
                .iter()
                .chain(&found.ambiguous)
                .any(|id| own.contains(id.as_str()));
            if !is_own {
                continue;
            }
            let to = times
                .get(n + 1)
                .copied()
                .unwrap_or_else(|| after(*from, ADDRESS_HOLDS_NANOS));
            match spans.last_mut() {
                Some(last) if last.to == *from => last.to = to,
                _ => spans.push(Span {
                    id: address.clone(),
                    from: *from,
                    to,
                }),
            }
        }
        spans
    }

    /// When a pair, or either of its names, was reported to end.
    fn ends_of(&self, pair: &ObservedBinding) -> impl Iterator<Item = Timestamp> {
        let keys = [
            (pair.from.clone(), pair.to.clone()),
            (pair.from.clone(), pair.from.clone()),
            (pair.to.clone(), pair.to.clone()),
        ];
        let found = keys.into_iter().filter_map(|key| self.ends.get(&key));
        found.flatten().copied().collect::<Vec<_>>().into_iter()
    }

    /// The pairs that have one of these names in them, and what is made of or above what they name, in order of kind and time.
    pub fn bindings_among(&self, names: &BTreeSet<Identifier>) -> Vec<ObservedBinding> {
        let mut pairs: Vec<ObservedBinding> = self
            .observed
            .values()
            .filter(|pair| names.contains(&pair.from) || names.contains(&pair.to))
            .cloned()
            .collect();
        let workloads: BTreeSet<Identifier> = pairs
            .iter()
            .map(|pair| pair.to.clone())
            .filter(|id| id.kind == IdentifierKind::Workload)
            .collect();
        let uids: BTreeSet<Identifier> = pairs
            .iter()
            .flat_map(|pair| [&pair.from, &pair.to])
            .filter(|id| id.kind == IdentifierKind::PodUid)
            .cloned()
            .collect();
        let more = self.observed.values().filter(|pair| {
            workloads.contains(&pair.from) || (uids.contains(&pair.from) && pair.to.kind == IdentifierKind::PodName)
        });
        pairs.extend(more.cloned());
        // What stands for each other is said once.
        pairs.retain(|pair| pair.from < pair.to || !self.observed.contains_key(&(pair.to.clone(), pair.from.clone())));
        for pair in &mut pairs {
            let ended = self.ends_of(pair).filter(|end| *end >= pair.last).min();
            pair.ended = ended;
        }
        pairs.sort_by(|a, b| (a.to.kind, a.first, &a.from, &a.to).cmp(&(b.to.kind, b.first, &b.from, &b.to)));
        pairs.dedup_by(|a, b| a.from == b.from && a.to == b.to);
        pairs
    }
}

/// Whether two names are one, as a pod's or as a node's.
fn same_name(one: &Identifier, other: &Identifier) -> bool {
    (&one.value, &one.cluster) == (&other.value, &other.cluster)
}

/// `nanos` later.
fn after(time: Timestamp, nanos: i64) -> Timestamp {
    time.saturating_add_nanos(nanos.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: IdentifierKind, text: &str) -> Identifier {
        Identifier::new(kind, text).unwrap()
    }

    fn add(bindings: &mut ObservedBindings, from: Identifier, to: Identifier, seconds: i64, ends: bool) {
        bindings.add(
            Binding {
                from,
                to,
                time: Timestamp::from_seconds(seconds),
                ends,
                how: How::AuditPodStatus,
                confidence: Confidence::Certain,
            },
            1,
        );
    }

    #[test]
    fn an_address_is_the_pods_until_it_passes_on() {
        use IdentifierKind::{ContainerId, PodIp, PodName, PodUid};
        let mut bindings = ObservedBindings::default();
        let (ip, web, job) = (id(PodIp, "10.0.0.5"), id(PodUid, "u1"), id(PodUid, "u2"));
        add(&mut bindings, id(PodName, "shop/web-1"), web.clone(), 100, false);
        add(&mut bindings, ip.clone(), web.clone(), 100, false);
        add(&mut bindings, ip.clone(), web.clone(), 400, false);
        add(&mut bindings, id(ContainerId, "0123456789ab"), web.clone(), 100, false);
        add(&mut bindings, ip, job, 1_000, false);
        let pod = EntityName::new(Kind::Pod, "shop/web-1").unwrap();
        let names = bindings.names_of(&pod);
        let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["PodUid u1", "PodName shop/web-1", "ContainerId 0123456789ab"]);
        let spans: Vec<(i64, i64)> = bindings
            .addresses_of(&names)
            .iter()
            .map(|span| (span.from.as_nanos() / 1_000_000_000, span.to.as_nanos() / 1_000_000_000))
            .collect();
        assert_eq!(spans, [(100, 1_000)]);
        let (query, cut) = super::super::query::by_all_names(&pod, &bindings).write();
        casebook_store::check_query(&query).unwrap();
        let address = "(ip:\"10.0.0.5\" AND time:[1970-01-01T00:01:40Z TO 1970-01-01T00:16:40Z})";
        assert!(
            !cut && query.contains(address) && query.ends_with("OR \"u1\""),
            "{query}"
        );
        let pairs = bindings.bindings_among(&names);
        assert_eq!(pairs.len(), 3, "{pairs:?}");
        let address = pairs.iter().find(|pair| pair.from.kind == PodIp).unwrap();
        assert_eq!((address.times, address.ended), (2, None));
    }

    #[test]
    fn an_address_ends_with_its_pod() {
        use IdentifierKind::{PodIp, PodName, PodUid};
        let mut bindings = ObservedBindings::default();
        let web = id(PodUid, "u1");
        add(&mut bindings, id(PodIp, "10.0.0.5"), web.clone(), 100, false);
        add(&mut bindings, id(PodName, "shop/web-1"), web.clone(), 100, false);
        add(&mut bindings, web.clone(), web, 500, true);
        let names = bindings.names_of(&EntityName::new(Kind::Pod, "web-1").unwrap());
        let spans = bindings.addresses_of(&names);
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].to.as_nanos() / 1_000_000_000, 560);
        let ended: Vec<_> = bindings.bindings_among(&names).iter().map(|pair| pair.ended).collect();
        assert!(
            ended.iter().all(|end| *end == Some(Timestamp::from_seconds(500))),
            "{ended:?}"
        );
    }

    #[test]
    fn a_name_of_several_clusters_is_each_ones_or_one_ones() {
        use IdentifierKind::{PodIp, PodName, PodUid};
        let mut bindings = ObservedBindings::default();
        for (cluster, uid) in [("east", "u1"), ("west", "u2"), ("", "u3")] {
            let name = id(PodName, "shop/web-1").within(cluster);
            add(&mut bindings, name, id(PodUid, uid), 100, false);
            let ip = id(PodIp, "10.0.0.5").within(cluster);
            add(&mut bindings, ip, id(PodUid, uid), 100, false);
        }
        let shown = |text: &str| {
            let names = bindings.names_of(&EntityName::new(Kind::Pod, text).unwrap());
            let spans = bindings.addresses_of(&names);
            let spans = spans.iter().map(|span| span.id.to_string());
            names.iter().map(ToString::to_string).chain(spans).collect::<Vec<_>>()
        };
        assert_eq!(
            shown("east/shop/web-1"),
            ["PodUid u1", "PodName east/shop/web-1", "PodIp east/10.0.0.5"]
        );
        let all = [
            "PodUid u1",
            "PodUid u2",
            "PodUid u3",
            "PodName shop/web-1",
            "PodName east/shop/web-1",
            "PodName west/shop/web-1",
            "PodIp 10.0.0.5",
            "PodIp east/10.0.0.5",
            "PodIp west/10.0.0.5",
        ];
        assert_eq!(shown("shop/web-1"), all);
        assert_eq!(shown("web-1"), all);
        let pod = EntityName::new(Kind::Pod, "east/shop/web-1").unwrap();
        let (query, _) = super::super::query::by_all_names(&pod, &bindings).write();
        casebook_store::check_query(&query).unwrap();
        let address = "(ip:\"10.0.0.5\" AND orchestrator.cluster.name:\"east\" AND time:[";
        assert!(query.contains(address) && !query.contains("u2"), "{query}");
    }
}
