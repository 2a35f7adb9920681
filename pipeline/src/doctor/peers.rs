//! Whether one peer stands before an API server: then it sends everybody's requests, and `source.ip` says nothing, unless the
//! topic's `trusted_proxies` name it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use casebook_event::Source;
use casebook_store::{SearchRequest, Store, Tally, TallyBy};

use crate::clock;
use crate::doctor::finding::{Finding, Verdict};

/// How far back the store is searched, in nanoseconds.
const SPAN_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// Fewer requests of a topic than this say nothing.
const MIN_REQUESTS: u64 = 500;
/// What share of them one peer sends that is reported, in hundredths.
const DOMINANT_PERCENT: u64 = 80;

/// A peer that sends most requests of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Dominant {
    topic: String,
    peer: String,
    percent: u64,
    requests: u64,
    /// In what share of its requests it says whom it forwards for, in hundredths.
    forwarded_percent: u64,
}

impl Dominant {
    /// What was found, and what to do.
    fn detail(&self) -> String {
        let Self {
            peer,
            percent,
            requests,
            forwarded_percent,
            ..
        } = self;
        let seen = format!("{peer} has sent {percent} % of the {requests} requests of the last day");
        match forwarded_percent {
            0 => format!(
                "{seen}, and says for whom in none: if it is a load balancer, source.ip is its own for all of its clients; let it \
                 keep their addresses (docs/sources/kubernetes-audit.md, Addresses)"
            ),
            share => format!(
                "{seen}, and says for whom in {share} % of them: if it is a proxy of your own that sets X-Forwarded-For and \
                 X-Real-Ip itself, say `trusted_proxies: [{peer}]` for this topic (docs/sources/kubernetes-audit.md, Addresses)"
            ),
        }
    }
}

/// What is to be said of the peers of the store's API servers.
pub(crate) async fn peers(store: &Store) -> Vec<Finding> {
    let finding = |what: String, detail: String| Finding {
        what,
        verdict: Verdict::Warning,
        detail,
    };
    match dominant_peers(store).await {
        Ok(found) => found
            .iter()
            .map(|peer| finding(format!("peers of {}", peer.topic), peer.detail()))
            .collect(),
        Err(error) => vec![finding("peers".to_owned(), format!("cannot be counted: {error}"))],
    }
}

/// The peers that dominate the audit events of the store's last day, topic by topic; an error in words.
async fn dominant_peers(store: &Store) -> Result<Vec<Dominant>, String> {
    let count = async |query: &str| {
        let request = SearchRequest {
            query: query.into(),
            from: Some(clock::now().saturating_add_nanos(-SPAN_NANOS)),
            sources: vec![Source::KubernetesAudit],
            ..SearchRequest::default()
        };
        let by = TallyBy {
            fields: vec!["topic".into(), "source.ip".into()],
            ..TallyBy::default()
        };
        let tally = store.tally(request, by).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(by_topic(&tally))
    };
    let all = count("source.ip:*").await?;
    let forwarding = count("source.ip:* AND casebook.claimed_ip:*").await?;
    Ok(judge(&all, &forwarding))
}

/// Requests by topic and peer.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

fn by_topic(tally: &Tally) -> Counts {
    let mut counts = Counts::new();
    for row in &tally.rows {
        if let [Some(topic), Some(peer)] = row.values.as_slice() {
            *counts
                .entry(topic.clone())
                .or_default()
                .entry(peer.clone())
                .or_default() += row.count;
        }
    }
    counts
}

fn judge(all: &Counts, forwarding: &Counts) -> Vec<Dominant> {
    let mut found = Vec::new();
    for (topic, peers) in all {
        let requests: u64 = peers.values().sum();
        let Some((peer, &count)) = peers.iter().max_by_key(|(_, count)| **count) else {
            continue;
        };
        // The control plane's own parts are at home on its machines.
        let at_home = peer.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let percent = count * 100 / requests.max(1);
        if requests < MIN_REQUESTS || percent < DOMINANT_PERCENT || at_home {
            continue;
        }
        let forwarded = forwarding.get(topic).and_then(|peers| peers.get(peer)).copied();
        found.push(Dominant {
            topic: topic.clone(),
            peer: peer.clone(),
            percent,
            requests,
            forwarded_percent: (forwarded.unwrap_or_default() * 100).div_ceil(count.max(1)),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, &str, u64)]) -> Counts {
        let mut counts = Counts::new();
        for (topic, peer, count) in of {
            counts
                .entry((*topic).to_owned())
                .or_default()
                .insert((*peer).to_owned(), *count);
        }
        counts
    }

    #[test]
    fn one_peer_before_all_others_is_reported_with_what_to_set() {
        let all = counts(&[
            ("a", "10.0.0.9", 900),
            ("a", "10.0.0.1", 100),
            ("b", "10.0.0.1", 500),
            ("b", "10.0.0.2", 500),
        ]);
        let found = judge(&all, &counts(&[("a", "10.0.0.9", 850)]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].topic, "a");
        let detail = found[0].detail();
        assert!(
            detail.contains("10.0.0.9 has sent 90 % of the 1000 requests"),
            "{detail}"
        );
        assert!(
            detail.contains("trusted_proxies: [10.0.0.9]") && detail.contains("95 %"),
            "{detail}"
        );
        // Without a word of whom it forwards for, there is nothing to trust.
        let detail = judge(&all, &Counts::new())[0].detail();
        assert!(!detail.contains("trusted_proxies"), "{detail}");
    }

    #[test]
    fn few_requests_and_the_machine_itself_say_nothing() {
        assert_eq!(
            judge(&counts(&[("a", "10.0.0.9", MIN_REQUESTS - 1)]), &Counts::new()),
            []
        );
        assert_eq!(judge(&counts(&[("a", "::1", 9_000)]), &Counts::new()), []);
        assert_eq!(judge(&Counts::new(), &Counts::new()), []);
    }
}
