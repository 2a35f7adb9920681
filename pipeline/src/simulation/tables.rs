//! The tables in memory, with the promises of `casebook_store`: commits that are fenced by offsets, and calls that are slow, fail before
//! they took effect, or after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use casebook_event::{
    Alert, Binding, CheckpointDelta, DeadLetter, DecidedWindow, Event, Identifier, Kept, OffsetRange, Partition,
    Signal, StartOffset, Timestamp,
};
use casebook_store::{
    AlertsCommit, CommitError, Committed, EventsCommit, Expired, KeptCommit, KeptCommitted, KeptSignals, KeySpan,
    StoreError,
};

use super::executor::Owner;
use super::random::Random;
use crate::ports::runtime::SharedRuntime;
use crate::ports::tables::Tables;

/// What is durable.
#[derive(Default)]
pub(super) struct Durable {
    pub(super) events: Vec<Event>,
    pub(super) letters: Vec<DeadLetter>,
    pub(super) offsets: BTreeMap<Partition, StartOffset>,
    pub(super) alerts: Vec<Alert>,
    pub(super) signal_offsets: BTreeMap<Partition, StartOffset>,
    states: BTreeMap<Partition, Vec<u64>>,
    parts: BTreeMap<u64, Vec<u8>>,
    prepared: BTreeMap<u64, Vec<Event>>,
    next: u64,
    pub(super) signals: Vec<Signal>,
    windows: Vec<DecidedWindow>,
    bindings: Vec<Binding>,
    /// How far the tables of what is kept have each partition: bindings, and matches with windows.
    kept: [BTreeMap<Partition, i64>; 2],
    /// Commits of events and of alerts that landed, and those that were fenced.
    pub(super) landed: u64,
    pub(super) fenced: u64,
    pub(super) failed: u64,
}

/// The tables as one worker reaches them.
pub(super) struct SimulatedTables {
    pub(super) durable: Arc<Mutex<Durable>>,
    pub(super) runtime: SharedRuntime,
    pub(super) random: Mutex<Random>,
    /// Longest time of one call, but for what is drawn to be slower.
    pub(super) slow: Duration,
    /// In so many of a thousand calls the store fails.
    pub(super) failures: u32,
    /// The worker, where its commits are printed.
    pub(super) trace: Option<Owner>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a commit of `checkpoint` does not begin where the table stands.
fn fence(standing: &BTreeMap<Partition, StartOffset>, checkpoint: &CheckpointDelta) -> Option<CommitError> {
    checkpoint.iter().find_map(|(partition, range)| {
        let start = standing.get(partition)?;
        let offsets = [(range.start, start.next), (range.start_resume, start.resume)];
        let (expected, found) = offsets.into_iter().find(|(expected, found)| expected != found)?;
        Some(CommitError::Fenced {
            partition: partition.clone(),
            expected,
            found,
        })
    })
}

fn ranges(checkpoint: &CheckpointDelta) -> String {
    let range = |(partition, range): (&Partition, OffsetRange)| {
        let OffsetRange {
            start,
            start_resume,
            end,
            resume,
        } = range;
        format!("{partition} {start} ({start_resume}) to {end} ({resume})")
    };
    checkpoint.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// Where a commit follows another state than the one that the table has.
fn fence_states(
    states: &BTreeMap<Partition, Vec<u64>>,
    follows: &[(Partition, Option<Vec<u64>>)],
) -> Option<CommitError> {
    let (partition, _) = follows.iter().find(|(of, known)| states.get(of) != known.as_ref())?;
    Some(CommitError::FencedByState {
        partition: partition.clone(),
    })
}

fn move_on(standing: &mut BTreeMap<Partition, StartOffset>, checkpoint: &CheckpointDelta) {
    for (partition, range) in checkpoint.iter() {
        let (next, resume) = (range.end, range.resume);
        standing.insert(partition.clone(), StartOffset { next, resume });
    }
}

impl SimulatedTables {
    /// Prints what has landed.
    fn log(&self, what: &str, commit: impl FnOnce() -> String) {
        if let Some(owner) = self.trace {
            let now = self.runtime.now();
            crate::simulation::say(&format!("     {now} worker {owner} {what}: {}", commit()));
        }
    }

    async fn pause(&self) {
        let pause = lock(&self.random).delay(self.slow);
        self.runtime.sleep(pause).await;
    }

    fn fails(&self) -> Result<(), StoreError> {
        if !lock(&self.random).chance(self.failures) {
            return Ok(());
        }
        lock(&self.durable).failed += 1;
        Err(StoreError::File {
            table: "events",
            action: "write",
            path: "a file".into(),
            source: "the store fails".into(),
        })
    }

    /// A call that takes effect at one moment, or fails before or after it.
    async fn call<T>(&self, effect: impl FnOnce(&mut Durable) -> T + Send) -> Result<T, StoreError> {
        self.pause().await;
        self.fails()?;
        let answer = effect(&mut lock(&self.durable));
        self.pause().await;
        self.fails()?;
        Ok(answer)
    }
}

fn committed(durable: &mut Durable, rows: usize) -> Committed {
    durable.landed += 1;
    Committed {
        version: durable.landed,
        files: 1,
        rows: rows as u64,
        stored_bytes: 0,
        log_time: Duration::from_millis(1),
    }
}

impl Tables for SimulatedTables {
    type Prepared = u64;
    type Part = u64;

    async fn start_offsets(&self, _group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        self.call(|durable| durable.offsets.clone()).await
    }

    async fn prepare_events(&self, events: Vec<Event>, _now: Timestamp) -> Result<u64, StoreError> {
        self.call(|durable| {
            durable.next += 1;
            durable.prepared.insert(durable.next, events);
            durable.next
        })
        .await
    }

    async fn discard_prepared(&self, files: Vec<u64>) {
        self.pause().await;
        let mut durable = lock(&self.durable);
        files.iter().for_each(|file| drop(durable.prepared.remove(file)));
    }

    async fn commit_events(&self, commit: EventsCommit<'_, u64>) -> Result<Committed, CommitError> {
        let outcome = self
            .call(|durable| {
                if let Some(fenced) = fence(&durable.offsets, &commit.checkpoint) {
                    durable.fenced += 1;
                    return Err(fenced);
                }
                move_on(&mut durable.offsets, &commit.checkpoint);
                self.log("commits events", || ranges(&commit.checkpoint));
                let files = commit.prepared.iter().filter_map(|file| durable.prepared.remove(file));
                let events: Vec<Event> = files.flatten().chain(commit.events).collect();
                let rows = events.len();
                durable.events.extend(events);
                durable.letters.extend(commit.dead_letters);
                Ok(committed(durable, rows))
            })
            .await;
        outcome.map_err(CommitError::Store)?
    }

    async fn signal_offsets(&self, _group: &str) -> Result<BTreeMap<Partition, StartOffset>, StoreError> {
        self.call(|durable| durable.signal_offsets.clone()).await
    }

    async fn correlation_state(&self, _group: &str, partition: &Partition) -> Result<Option<Vec<u64>>, StoreError> {
        self.call(|durable| durable.states.get(partition).cloned()).await
    }

    async fn write_state_part(&self, _partition: &Partition, part: Vec<u8>) -> Result<u64, StoreError> {
        self.call(|durable| {
            durable.next += 1;
            durable.parts.insert(durable.next, part);
            durable.next
        })
        .await
    }

    async fn read_state_part(&self, partition: &Partition, part: &u64) -> Result<Vec<u8>, StoreError> {
        let found = self.call(|durable| durable.parts.get(part).cloned()).await?;
        found.ok_or_else(|| StoreError::State {
            partition: partition.clone(),
            path: part.to_string(),
            reason: "the file is missing".into(),
        })
    }

    async fn commit_alerts(&self, commit: AlertsCommit<'_, u64>) -> Result<Committed, CommitError> {
        let outcome = self
            .call(|durable| {
                let states = fence_states(&durable.states, &commit.follows);
                if let Some(fenced) = fence(&durable.signal_offsets, &commit.checkpoint).or(states) {
                    durable.fenced += 1;
                    return Err(fenced);
                }
                move_on(&mut durable.signal_offsets, &commit.checkpoint);
                self.log("commits alerts", || {
                    let states: Vec<i32> = commit.states.iter().map(|(of, _)| of.partition).collect();
                    let alerts = commit.alerts.iter().map(|alert| {
                        let head = &alert.alert;
                        format!("{} {} {:?}", &head.id[..6], head.revision, head.status)
                    });
                    let alerts: Vec<String> = alerts.collect();
                    format!("{} states {states:?} {}", ranges(&commit.checkpoint), alerts.join(", "))
                });
                durable.alerts.extend(commit.alerts.iter().cloned());
                let old: Vec<u64> = commit
                    .states
                    .into_iter()
                    .filter_map(|(partition, parts)| durable.states.insert(partition, parts))
                    .flatten()
                    .collect();
                Ok((committed(durable, commit.alerts.len()), old))
            })
            .await;
        let (committed, old) = outcome.map_err(CommitError::Store)??;
        let mut durable = lock(&self.durable);
        old.iter().for_each(|part| drop(durable.parts.remove(part)));
        Ok(committed)
    }

    async fn alerts_by_id(&self, wanted: &[(u128, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        let ids: BTreeSet<String> = wanted.iter().map(|(id, _)| format!("{id:032x}")).collect();
        self.call(|durable| {
            let mut latest: BTreeMap<&str, &Alert> = BTreeMap::new();
            for alert in durable
                .alerts
                .iter()
                .filter(|alert| ids.contains(alert.alert.id.as_str()))
            {
                let known = latest.entry(&alert.alert.id).or_insert(alert);
                if known.alert.revision < alert.alert.revision {
                    *known = alert;
                }
            }
            latest.into_values().cloned().collect()
        })
        .await
    }

    async fn commit_kept(&self, commit: KeptCommit<'_>) -> Result<KeptCommitted, CommitError> {
        let mut done = KeptCommitted::default();
        // Each table has a commit of its own, and offsets of its own.
        for table in 0..2 {
            let rows = self.call(|durable| keep(durable, table, &commit.parts)).await;
            done.rows += rows.map_err(CommitError::Store)?;
        }
        Ok(done)
    }

    async fn kept_signals(&self, spans: &[KeySpan], max_rows: usize) -> Result<KeptSignals, StoreError> {
        self.call(|durable| {
            let is_in = |signal: &&Signal| {
                let time = signal.event.time;
                let mut spans = spans.iter();
                spans.any(|span| span.key == signal.key() && span.from <= time && time < span.to)
            };
            first(durable.signals.iter().filter(is_in).cloned().collect(), max_rows)
        })
        .await
    }

    async fn kept_windows(&self, spans: &[KeySpan]) -> Result<Vec<DecidedWindow>, StoreError> {
        self.call(|durable| {
            let is_in = |window: &&DecidedWindow| {
                let mut spans = spans.iter();
                spans.any(|span| span.key == window.key && window.first < span.to && window.to >= span.from)
            };
            let mut windows: Vec<DecidedWindow> = durable.windows.iter().filter(is_in).cloned().collect();
            let place = |window: &DecidedWindow| {
                let DecidedWindow {
                    key,
                    first,
                    alert_id,
                    revision,
                    to,
                    met,
                    content,
                    ..
                } = window;
                (*key, *first, *alert_id, *revision, *to, *met, *content)
            };
            windows.sort_by_key(place);
            windows.dedup();
            windows
        })
        .await
    }

    async fn kept_bindings(
        &self,
        identifiers: &BTreeSet<Identifier>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Binding>, StoreError> {
        self.call(|durable| {
            let is_in = |binding: &&Binding| {
                let is_of = identifiers.contains(&binding.from) || identifiers.contains(&binding.to);
                is_of && from <= binding.time && binding.time < to
            };
            let mut bindings: Vec<Binding> = durable.bindings.iter().filter(is_in).cloned().collect();
            bindings.sort_by(|a, b| {
                let order = (a.time, &a.from, &a.to, a.ends).cmp(&(b.time, &b.from, &b.to, b.ends));
                order.then_with(|| (a.confidence, a.how as u8).cmp(&(b.confidence, b.how as u8)))
            });
            bindings.dedup();
            bindings
        })
        .await
    }

    async fn kept_since(&self) -> Result<Timestamp, StoreError> {
        self.call(|_| Timestamp::MIN).await
    }

    /// No run is longer than what is kept.
    async fn expire_kept(&self, _before: (Timestamp, Timestamp), _now: Timestamp) -> Result<Expired, StoreError> {
        self.call(|_| Expired::default()).await
    }
}

/// Puts into one table of what is kept what it does not have yet.
fn keep(durable: &mut Durable, table: usize, parts: &[(Partition, Kept, i64)]) -> u64 {
    let mut rows = 0;
    for (partition, kept, next) in parts {
        let standing = durable.kept[table].get(partition).copied().unwrap_or(i64::MIN);
        let is_new = |offset: &i64| *offset >= standing;
        match table {
            0 => {
                let new = kept.bindings.iter().filter(|(offset, _)| is_new(offset));
                let new: Vec<Binding> = new.map(|(_, binding)| binding.clone()).collect();
                rows += new.len();
                durable.bindings.extend(new);
            }
            _ => {
                let signals = kept.signals.iter().filter(|(offset, _)| is_new(offset));
                let signals: Vec<Signal> = signals.map(|(_, signal)| signal.clone()).collect();
                let windows = kept.windows.iter().filter(|(offset, _)| is_new(offset));
                let windows: Vec<DecidedWindow> = windows.map(|(_, window)| window.clone()).collect();
                rows += signals.len() + windows.len();
                durable.signals.extend(signals);
                durable.windows.extend(windows);
            }
        }
        durable.kept[table].insert(partition.clone(), standing.max(*next));
    }
    rows as u64
}

/// The first matches in the order of time, event and position, equal ones once; those of one time whole or not at all.
fn first(mut signals: Vec<Signal>, max_rows: usize) -> KeptSignals {
    let mut rows: Vec<Signal> = Vec::new();
    signals.sort_by(|a, b| {
        let place = |signal: &Signal| (signal.event.time, signal.event.event_id, signal.event.position.clone());
        place(a).cmp(&place(b))
    });
    for signal in signals {
        let same = rows.iter().rev().take_while(|row| row.event.time == signal.event.time);
        if same.into_iter().all(|row| *row != signal) {
            rows.push(signal);
        }
    }
    let complete_to = rows.get(max_rows).map(|row| row.event.time);
    if let Some(to) = complete_to {
        rows.retain(|row| row.event.time < to);
    }
    KeptSignals {
        signals: rows,
        complete_to,
        bytes_read: 0,
    }
}
