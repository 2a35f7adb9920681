//! What the form of a name says: controllers name what they make after themselves.

use super::{Identifier, IdentifierKind};

/// The characters that Kubernetes makes suffixes of (`k8s.io/apimachinery/pkg/util/rand`): no vowels, nothing that looks like
/// another.
const SUFFIX_CHARS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// The suffix of a pod's name.
const POD_SUFFIX_CHARS: usize = 5;
/// The longest hash of a pod's template (32 bits, encoded).
const MAX_HASH_CHARS: usize = 10;
/// The shortest that is taken for one: shorter ones are words too often.
const MIN_HASH_CHARS: usize = 6;
/// Minutes since the epoch in a CronJob's Jobs' names.
const MINUTES_CHARS: usize = 8;

/// The workload that a pod's name has the form of: `web-7d4b9c6f5-x2x9z` is a pod of the ReplicaSet `web-7d4b9c6f5`.
pub(super) fn workload_of_pod(pod: &Identifier) -> Option<Identifier> {
    Some(by_pod_name(pod)?.within(&pod.cluster))
}

fn by_pod_name(pod: &Identifier) -> Option<Identifier> {
    let (namespace, name) = pod.parts().filter(|_| pod.kind == IdentifierKind::PodName)?;
    let set = without_pod_suffix(name)?;
    if let Some((_, minutes)) = set.rsplit_once('-')
        && is_minutes(minutes)
    {
        return Identifier::workload(namespace, "Job", set);
    }
    let (_, hash) = set.rsplit_once('-')?;
    is_hash(hash).then(|| Identifier::workload(namespace, "ReplicaSet", set))?
}

/// The workload above another by the form of its name: the Deployment of a ReplicaSet, the CronJob of a Job.
pub(super) fn workload_above(workload: &Identifier) -> Option<Identifier> {
    Some(by_workload_name(workload)?.within(&workload.cluster))
}

fn by_workload_name(workload: &Identifier) -> Option<Identifier> {
    let (namespace, rest) = workload.parts().filter(|_| workload.kind == IdentifierKind::Workload)?;
    match rest.split_once('/')? {
        ("ReplicaSet", name) => {
            let (deployment, hash) = name.rsplit_once('-')?;
            is_hash(hash).then(|| Identifier::workload(namespace, "Deployment", deployment))?
        }
        ("Job", name) => {
            let (cron, minutes) = name.rsplit_once('-')?;
            is_minutes(minutes).then(|| Identifier::workload(namespace, "CronJob", cron))?
        }
        _ => None,
    }
}

/// A pod's name without the suffix that its controller gave it.
pub(super) fn without_pod_suffix(name: &str) -> Option<&str> {
    let (rest, suffix) = name.rsplit_once('-')?;
    (suffix.len() == POD_SUFFIX_CHARS && has_suffix_chars(suffix) && !rest.is_empty()).then_some(rest)
}

fn is_hash(text: &str) -> bool {
    (MIN_HASH_CHARS..=MAX_HASH_CHARS).contains(&text.len()) && has_suffix_chars(text)
}

fn is_minutes(text: &str) -> bool {
    text.len() == MINUTES_CHARS && text.bytes().all(|b| b.is_ascii_digit())
}

fn has_suffix_chars(text: &str) -> bool {
    text.bytes().all(|b| SUFFIX_CHARS.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_who_made_them() {
        let check = |pod: &str, want: &[&str]| {
            let pod = Identifier::new(IdentifierKind::PodName, pod).unwrap();
            let mut found = Vec::new();
            let mut next = workload_of_pod(&pod);
            while let Some(workload) = next {
                next = workload_above(&workload);
                found.push(workload.value.to_string());
            }
            assert_eq!(found, want, "{pod}");
        };
        check(
            "shop/web-7d4b9c6f5-x2x9z",
            &["shop/ReplicaSet/web-7d4b9c6f5", "shop/Deployment/web"],
        );
        check(
            "shop/report-28391234-x2x9z",
            &["shop/Job/report-28391234", "shop/CronJob/report"],
        );
        check("shop/web-0", &[]);
        check("shop/fluent-bit-x2x9z", &[]);
        check("shop/web-7d4b9c6f5-admin", &[]);
        check("shop/debug", &[]);
    }
}
