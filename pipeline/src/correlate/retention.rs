//! What correlation keeps goes once no repair can need it any more.

use casebook_event::Timestamp;
use tracing::{info, warn};

use crate::ports::tables::Tables;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Takes old dates out of the tables of what is kept, once for each day by which time moves on.
#[derive(Debug, Default)]
pub(crate) struct KeptRetention {
    /// The day before which all has gone, by its number since 1970.
    done: Option<i64>,
}

impl KeptRetention {
    /// Takes out what is older than matches and windows, and bindings, are needed for. A day more stays: another partition may lag.
    /// What fails is logged, and done with the next day: nothing depends on it but room.
    pub(crate) async fn run<S: Tables>(
        &mut self,
        store: &S,
        (signals, bindings): (Timestamp, Timestamp),
        now: Timestamp,
    ) {
        let day_before = |time: Timestamp| time.saturating_add_nanos(-NANOS_PER_DAY);
        let day = day_before(signals).as_nanos().div_euclid(NANOS_PER_DAY);
        if day <= 0 || self.done.is_some_and(|done| done >= day) {
            return;
        }
        self.done = Some(day);
        match store
            .expire_kept((day_before(signals), day_before(bindings)), now)
            .await
        {
            Ok(expired) => {
                for problem in &expired.problems {
                    warn!(path = %problem.path, problem = %problem.problem, remedy = problem.remedy, "a file of what correlation keeps could not be expired");
                }
                if let Some((first, last)) = expired.dates {
                    let (rows, files) = (expired.rows, expired.files_removed);
                    info!(first, last, rows, files, "what no repair can need any more is expired");
                }
            }
            Err(error) => warn!(%error, "what correlation keeps could not be expired; trying again with the next day"),
        }
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::{Binding, Confidence, How, Identifier, IdentifierKind, Kept, Partition};
    use casebook_store::{KeptCommit, Store, StoreConfig};

    use super::*;

    #[tokio::test]
    async fn dates_that_nothing_needs_go_a_day_later() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), StoreConfig::default())
            .await
            .unwrap();
        let days = |days: i64| Timestamp::from_seconds(20_000 * 86_400 + days * 86_400);
        let name = Identifier::new(IdentifierKind::PodName, "shop/web").unwrap();
        let binding = |day: i64| Binding {
            from: name.clone(),
            to: Identifier::new(IdentifierKind::PodUid, "u1").unwrap(),
            time: days(day).saturating_add_nanos(1),
            ends: false,
            how: How::Kubelet,
            confidence: Confidence::Certain,
        };
        let kept = Kept {
            bindings: (0..4).map(|day| (day, binding(day))).collect(),
            ..Kept::default()
        };
        let commit = KeptCommit {
            group: "g",
            parts: vec![(Partition::new("signals", 0), kept, 4)],
            now: days(4),
        };
        store.commit_kept(commit).await.unwrap();
        let left = async || {
            let from = [name.clone()].into();
            let bindings = store
                .kept_bindings(&from, Timestamp::MIN, Timestamp::MAX)
                .await
                .unwrap();
            bindings.into_iter().map(|binding| binding.time).collect::<Vec<_>>()
        };
        let mut retention = KeptRetention::default();
        retention.run(&store, (days(2), days(1)), days(4)).await;
        assert_eq!(left().await.len(), 4, "the first day is not a day old");
        retention.run(&store, (days(3), days(2)), days(4)).await;
        assert_eq!(left().await, [1, 2, 3].map(|day| binding(day).time));
        assert_eq!(store.kept_since().await.unwrap(), days(1));
        retention.run(&store, (days(3), days(4)), days(4)).await;
        assert_eq!(left().await.len(), 3, "once a day");
    }
}
