//! Whether all topics of clusters have a name for theirs: where only some do, their events never meet.

use casebook_event::Source;
use casebook_ingest::SourceKind;

use crate::config::deployment::Config;
use crate::doctor::finding::{Findings, Verdict};

/// Which topics have a name for their cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clusters {
    /// All topics do, or the configuration does.
    Named,
    /// None does: fine where there is one cluster.
    Unnamed,
    /// These do not.
    Mixed(Vec<String>),
}

pub(super) fn named(config: &Config) -> Clusters {
    // A cloud's own log is of no cluster.
    let is_of_cloud = |kind: SourceKind| {
        matches!(
            kind,
            SourceKind::Source(Source::CloudTrail | Source::GcpAudit | Source::AzureActivity)
        )
    };
    let topics = config.kafka.topics.iter().filter(|topic| !is_of_cloud(topic.source.0));
    let (named, unnamed): (Vec<_>, Vec<_>) = topics.partition(|topic| {
        let cluster = topic.cluster.as_ref().or(config.cluster.as_ref());
        cluster.is_some_and(|name| !name.is_empty())
    });
    match (named.is_empty(), unnamed.is_empty()) {
        (_, true) => Clusters::Named,
        (true, false) => Clusters::Unnamed,
        (false, false) => Clusters::Mixed(unnamed.iter().map(|topic| topic.name.clone()).collect()),
    }
}

/// What there is to say of them.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    let what = "clusters";
    match named(config) {
        Clusters::Named => findings.add(Verdict::Ok, what, "named for every topic"),
        Clusters::Unnamed => findings.add(
            Verdict::Ok,
            what,
            "not named: one cluster needs no name, and of several, each event must say its own",
        ),
        Clusters::Mixed(topics) => findings.add(
            Verdict::Warning,
            what,
            format!(
                "`cluster:` is said of some topics and not of {}: unless their records name it, rules find nothing across the two",
                topics.join(", ")
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn topics_without_a_cluster_beside_those_with_one_are_reported() {
        let check = |first: &str, topics: &str, want: Clusters| {
            let text = format!("{first}kafka: {{ brokers: b, topics: [{topics}] }}\n");
            let config = Config::parse(&text, Path::new("")).unwrap();
            assert_eq!(named(&config), want, "{text}");
        };
        let audit = "{ name: audit, source: kubernetes_audit, cluster: east }";
        let pods = "{ name: pods, source: container }";
        let trail = "{ name: trail, source: cloudtrail }";
        let mixed = || Clusters::Mixed(vec!["pods".to_owned()]);
        check("", &format!("{audit}, {pods}, {trail}"), mixed());
        check("", &format!("{audit}, {trail}"), Clusters::Named);
        check("", &format!("{pods}, {trail}"), Clusters::Unnamed);
        check("cluster: east\n", &format!("{audit}, {pods}"), Clusters::Named);
        let none = "{ name: pods, source: container, cluster: '' }";
        check("cluster: east\n", &format!("{audit}, {none}"), mixed());
    }
}
