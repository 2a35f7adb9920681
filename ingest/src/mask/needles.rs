//! The search for words that stand at or in every secret: the only thing that is done to every byte of every record.
//!
//! Three bytes at every other place are looked up in a table of those that a needle may have at the rarest of its places, or at the
//! one after it; what passes is compared. An automaton over the same needles reads each byte in the light of the one before,
//! which takes longer (`docs/performance.md`); it is what this must agree with.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::needle_list::{Hit, NEEDLES};

/// Bits of a place in the table: four KiB, which stay in the fastest cache.
const SLOT_BITS: u32 = 15;
const SLOT_WORDS: usize = 1 << (SLOT_BITS - 6);

/// What logs look like: which three bytes of a needle are rare in them.
const ORDINARY: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5a0b1f6e-0e8c-4f19-9d2a-2c1b7a9e3f10",
"stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/kube-system/deployments/coredns?limit=500&resourceVersion=0&timeout=32s",
"verb":"list","user":{"username":"system:serviceaccount:kube-system:deployment-controller","uid":"x","groups":["system:serviceaccounts",
"system:authenticated"]},"sourceIPs":["10.0.0.1"],"userAgent":"kube-controller-manager/v1.34.0 (linux/amd64) kubernetes/f1e2d3c",
"objectRef":{"resource":"deployments","namespace":"kube-system","apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},
"requestReceivedTimestamp":"2026-11-20T10:00:00.123456Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":
"RBAC: allowed by ClusterRoleBinding of ClusterRole to ServiceAccount"}} {"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":
"AROA:session","arn":"arn:aws:sts::111122223333:assumed-role/builder/session","accountId":"111122223333","accessKeyId":"ASIAEXAMPLE",
"sessionContext":{"sessionIssuer":{"type":"Role","userName":"builder"},"attributes":{"creationDate":"2026-11-20T10:00:00Z","mfaAuthenticated":"false"}}},
"eventTime":"2026-11-20T10:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"eu-central-1",
"sourceIPAddress":"192.0.2.1","requestParameters":{"instancesSet":{"items":[]}},"responseElements":null,"readOnly":true,"eventType":"AwsApiCall"}
2026-11-20T10:00:00.1Z stdout F {"level":"info","message":"request served","http":{"request":{"method":"GET"},"response":{"status_code":200}},
"url":{"path":"/api/v1/products"},"service":{"name":"checkout"},"trace":{"id":"x"},"kubernetes":{"pod_name":"web-1","container_name":"app","host":"n1"}}
Nov 20 10:00:00 node-1 sshd[1234]: Failed password for invalid user admin from 192.0.2.1 port 4711 ssh2: connection closed by peer [preauth]
type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e syscall=59 success=yes exit=0 items=2 ppid=1 pid=2 auid=1000 uid=0 comm="sh" exe="/bin/sh"
I1120 10:00:00.000000 1 kubelet.go:2031] "SyncLoop (PLEG): event for pod" pod="default/web-1" the process started and there is no error in the configuration"#;

/// A needle, and where in it the three bytes are that are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    needle: u16,
    offset: u16,
}

struct Table {
    /// A bit for each hash of three bytes.
    slots: [u64; SLOT_WORDS],
    /// For each hash that is one of a needle's, which of `anchors` may be there: a small table, by the lowest bits of the hash or
    /// the next place that was free.
    index: Vec<Option<Slot>>,
    anchors: Vec<Anchor>,
}

/// The anchors of a hash.
#[derive(Debug, Clone, Copy)]
struct Slot {
    slot: u16,
    from: u16,
    to: u16,
}

/// Places of the index: several times the hashes that the needles have.
const INDEX_PLACES: usize = 4096;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut counts = vec![0u32; 1 << SLOT_BITS];
    for three in ORDINARY.as_bytes().windows(3) {
        counts[slot_of(three) as usize] += 1;
    }
    let mut by_slot = BTreeMap::<u32, Vec<Anchor>>::new();
    let mut add = |bytes: &[u8], anchor: Anchor| {
        let anchors = by_slot.entry(slot_of(bytes)).or_default();
        if !anchors.contains(&anchor) {
            anchors.push(anchor);
        }
    };
    for (index, (needle, _)) in NEEDLES.iter().enumerate() {
        let bytes = needle.as_bytes();
        let needle = index as u16;
        let Some(offset) = (0..bytes.len().saturating_sub(3).max(1)).min_by_key(|offset| {
            let four = bytes.get(*offset..).unwrap_or_default().windows(3).take(2);
            four.map(|three| counts[slot_of(three) as usize]).sum::<u32>()
        }) else {
            continue;
        };
        let first = Anchor {
            needle,
            offset: offset as u16,
        };
        add(bytes.get(offset..).unwrap_or_default(), first);
        let after = Anchor {
            needle,
            offset: offset as u16 + 1,
        };
        match bytes.get(offset + 1..) {
            Some(rest) if rest.len() >= 3 => add(rest, after),
            // What follows a needle of three bytes may be anything.
            Some([second, third]) => (0..=u8::MAX).for_each(|any| add(&[*second, *third, any], after)),
            _ => {}
        }
    }
    Table::new(&by_slot)
});

/// The place of the three lowest bytes, without regard to the case of letters.
fn slot(bytes: u64) -> u32 {
    let folded = (bytes as u32 | 0x0020_2020) & 0x00ff_ffff;
    folded.wrapping_mul(0x9e37_79b1) >> (32 - SLOT_BITS)
}

/// The same of the first three of `bytes`.
fn slot_of(bytes: &[u8]) -> u32 {
    let byte = |n: usize| bytes.get(n).map_or(0, |byte| u64::from(*byte));
    slot(byte(0) | byte(1) << 8 | byte(2) << 16)
}

impl Table {
    fn new(by_slot: &BTreeMap<u32, Vec<Anchor>>) -> Self {
        let mut table = Self {
            slots: [0; SLOT_WORDS],
            index: vec![None; INDEX_PLACES],
            anchors: Vec::new(),
        };
        for (slot, anchors) in by_slot {
            table.slots[(slot >> 6) as usize % SLOT_WORDS] |= 1 << (slot & 63);
            let from = table.anchors.len();
            table.anchors.extend(anchors);
            let mut place = *slot as usize % INDEX_PLACES;
            while table.index[place].is_some() {
                place = (place + 1) % INDEX_PLACES;
            }
            table.index[place] = Some(Slot {
                slot: *slot as u16,
                from: from as u16,
                to: table.anchors.len() as u16,
            });
        }
        table
    }

    /// The needles that may be where the bytes have that hash.
    fn anchors_of(&self, slot: u32) -> &[Anchor] {
        let mut place = slot as usize % INDEX_PLACES;
        while let Some(Some(found)) = self.index.get(place) {
            if u32::from(found.slot) == slot {
                return self
                    .anchors
                    .get(usize::from(found.from)..usize::from(found.to))
                    .unwrap_or_default();
            }
            place = (place + 1) % INDEX_PLACES;
        }
        &[]
    }

    /// One where a needle may have its bytes at the lowest of `bytes`, else zero.
    fn may_hold(&self, bytes: u64) -> u64 {
        let slot = slot(bytes);
        self.slots[(slot >> 6) as usize % SLOT_WORDS] >> (slot & 63) & 1
    }

    /// The first place from `at` on, going by two, where a needle may have its bytes.
    fn candidate(&self, text: &[u8], mut at: usize) -> Option<usize> {
        // Three places are asked at once, and only then is anything decided.
        while let Some(Ok(eight)) = text.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let bytes = u64::from_le_bytes(eight);
            let (first, second, third) = (
                self.may_hold(bytes),
                self.may_hold(bytes >> 16),
                self.may_hold(bytes >> 32),
            );
            if first | second | third != 0 {
                return Some(if first != 0 {
                    at
                } else if second != 0 {
                    at + 2
                } else {
                    at + 4
                });
            }
            at += 6;
        }
        // Every needle has three bytes: one has the first two of those that are looked up at or before a place.
        while at + 1 < text.len() {
            let bytes = text.get(at..).unwrap_or_default();
            if self.slots[(slot_of(bytes) >> 6) as usize % SLOT_WORDS] >> (slot_of(bytes) & 63) & 1 != 0 {
                return Some(at);
            }
            at += 2;
        }
        None
    }

    /// The needle that `anchor` is of, if it stands around `at`.
    fn needle_at(text: &[u8], at: usize, anchor: Anchor) -> Option<Found> {
        let (needle, hit) = *NEEDLES.get(usize::from(anchor.needle))?;
        let start = at.checked_sub(usize::from(anchor.offset))?;
        let end = start + needle.len();
        let here = text.get(start..end)?;
        here.eq_ignore_ascii_case(needle.as_bytes()).then_some(Found {
            needle,
            hit,
            start,
            end,
        })
    }
}

/// A needle in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) needle: &'static str,
    pub(super) hit: Hit,
}

/// The needles in `text`, about from left to right: in the order of their rarest bytes. One within another is found too.
pub(super) fn find(text: &[u8]) -> Finder<'_> {
    let table = &*TABLE;
    Finder {
        table,
        text,
        at: 0,
        anchors: &[],
    }
}

/// See [`find`].
pub(super) struct Finder<'a> {
    table: &'static Table,
    text: &'a [u8],
    /// The next place to compare; while there are `anchors`, the one they are for is two before.
    at: usize,
    anchors: &'static [Anchor],
}

impl Iterator for Finder<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            while let Some((anchor, rest)) = self.anchors.split_first() {
                self.anchors = rest;
                if let Some(found) = Table::needle_at(self.text, self.at - 2, *anchor) {
                    return Some(found);
                }
            }
            let at = self.table.candidate(self.text, self.at)?;
            let slot = slot_of(self.text.get(at..).unwrap_or_default());
            self.anchors = self.table.anchors_of(slot);
            // Always the same half of the places: each needle is found once.
            self.at = at + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;
    use proptest::prelude::*;

    use super::*;

    fn check(text: &[u8]) {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(NEEDLES.iter().map(|(needle, _)| needle))
            .unwrap();
        let mut want: Vec<_> = automaton
            .find_overlapping_iter(text)
            .map(|hit| (hit.start(), hit.end(), NEEDLES[hit.pattern().as_usize()].0))
            .collect();
        let mut got: Vec<_> = find(text).map(|found| (found.start, found.end, found.needle)).collect();
        want.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, want, "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn each_needle_is_found_wherever_it_stands() {
        assert!(NEEDLES.iter().all(|(needle, _)| needle.len() >= 3));
        for (needle, _) in NEEDLES {
            for before in ["", "x", "xy", "xyz"] {
                for after in ["", "x", "xy"] {
                    check(format!("{before}{needle}{after}").as_bytes());
                    check(format!("{before}{}{after}{needle}", needle.to_ascii_uppercase()).as_bytes());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_an_automaton_finds(parts in prop::collection::vec((0..NEEDLES.len(), 0usize..12, "[a-zA-Z:/\\\\\"_é -]{0,3}"), 0..12)) {
            let text: String = parts
                .iter()
                .map(|(needle, cut, other)| {
                    let needle = NEEDLES[*needle].0;
                    format!("{}{other}", &needle[..needle.len().saturating_sub(*cut)])
                })
                .collect();
            check(text.as_bytes());
        }

        #[test]
        fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..64)) {
            check(&text);
        }
    }
}
