//! Bindings as they are kept over a restart: the same bindings give the same bytes.

use casebook_event::Timestamp;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::history::Sighting;
use super::{Bindings, Confidence, How, Identifier};

/// The form of what follows. One that is not named here is not read.
const VERSION: u32 = 2;

/// The form in which no name had a cluster: it reads as that of names of an unknown cluster.
const WITHOUT_CLUSTERS: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    version: u32,
    floor: i64,
    dropped: Option<i64>,
    incomplete: Option<i64>,
    late: u64,
    bindings: Vec<Pair>,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    from: Identifier,
    to: Identifier,
    seen: Vec<(i64, How, Confidence, bool)>,
    ends: Vec<i64>,
}

impl Serialize for Bindings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bindings: Vec<Pair> = Vec::new();
        for (from, entry) in &self.table.entries {
            for (to, history) in &entry.pairs {
                let sighting = |s: &Sighting| (s.time.as_nanos(), s.how, s.confidence, s.joined);
                bindings.push(Pair {
                    from: Identifier::clone(from),
                    to: to.clone(),
                    seen: history.seen.iter().map(sighting).collect(),
                    ends: history.ends.iter().map(|end| end.as_nanos()).collect(),
                });
            }
        }
        bindings.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
        if bindings.len() > super::limits::MAX_FACTS {
            return Err(S::Error::custom("more bindings than may be"));
        }
        let snapshot = Snapshot {
            version: VERSION,
            floor: self.floor.as_nanos(),
            dropped: self.table.dropped,
            incomplete: self.table.incomplete,
            late: self.late,
            bindings,
        };
        snapshot.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bindings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = Snapshot::deserialize(deserializer)?;
        if ![WITHOUT_CLUSTERS, VERSION].contains(&snapshot.version) {
            return Err(D::Error::custom(format!(
                "bindings of version {}, not {VERSION}",
                snapshot.version
            )));
        }
        let mut bindings = Self::new();
        for Pair { from, to, seen, ends } in &snapshot.bindings {
            for &(nanos, how, confidence, joined) in seen {
                let time = Timestamp::from_nanos(nanos);
                let sighting = Sighting {
                    time,
                    confidence,
                    how,
                    joined,
                };
                bindings
                    .table
                    .keep(from, to, &mut |history, relation| history.see(sighting, relation), time);
            }
            for &nanos in ends {
                let time = Timestamp::from_nanos(nanos);
                bindings.table.keep(from, to, &mut |history, _| history.end(time), time);
            }
        }
        bindings.floor = Timestamp::from_nanos(snapshot.floor);
        bindings.table.dropped = bindings.table.dropped.max(snapshot.dropped);
        bindings.table.incomplete = bindings.table.incomplete.max(snapshot.incomplete);
        bindings.late = snapshot.late;
        Ok(bindings)
    }
}
