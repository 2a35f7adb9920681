//! The laws of the engine: whatever the order, duplicates, crashes and memory, its alerts are those of the reference.

use std::sync::Arc;

use casebook_event::{Binding, SignalMessage};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::memory_store::MemoryStore;
use super::world::{
    Arrival, arrivals, cases, messages, plans, restore, restored, run, snapshot, sorted, standing, state,
    without_positions,
};
use crate::correlation::reference::final_alerts;
use crate::correlation::{CorrelationConfig, CorrelationEngine};

/// What a run is like, beside the events and the order of their arrival.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// After how many messages the engine is restored from its state.
    cut: usize,
    /// How many of the messages before that are delivered again.
    redeliver: usize,
    workers: u64,
    /// Messages between commits.
    batch: usize,
    /// Bytes of groups that each worker has memory for.
    memory: usize,
}

fn check_laws(arrival: &Arrival, partitions: usize, run_like: Run) -> Result<(), TestCaseError> {
    let Run {
        cut,
        redeliver,
        workers,
        batch,
        memory,
    } = run_like;
    let (messages, signals) = messages(arrival, partitions);
    let observed: Vec<Binding> = arrival.iter().filter_map(|(_, event)| event.binding()).collect();
    let want = final_alerts(&plans(), &signals, &observed);
    prop_assert_eq!(&sorted(run(false, &messages)), &want, "final alerts alone");
    let reports = run(true, &messages);
    prop_assert_eq!(
        standing(&reports),
        without_positions(want.clone()),
        "provisional alerts, revised"
    );

    // Several workers, each with the signals of its part of the groups, and with memory for some of them; a commit after
    // every so many messages.
    let mut reports = Vec::new();
    for worker in 0..workers {
        let engine = || {
            let engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
            engine.with_cold_store(Box::<MemoryStore>::default(), memory)
        };
        let mut running = engine();
        let mine = messages.iter().filter(|message| match message {
            SignalMessage::Signal(signal) => signal.key() % workers == worker,
            SignalMessage::Watermark(_) | SignalMessage::Binding(_) => true,
        });
        for (n, message) in mine.enumerate() {
            running.apply(message.clone(), &mut reports).unwrap();
            if n % batch == batch - 1 {
                running = restore(engine(), &snapshot(&running));
            }
        }
        running.finish(&mut reports).unwrap();
        prop_assert_eq!(running.stats().open_groups, 0);
    }
    prop_assert_eq!(standing(&reports), without_positions(want.clone()), "{:?}", run_like);

    // A crash: the state of `cut` is restored, and some of what came before it is delivered again.
    let cut = cut % (messages.len() + 1);
    let mut engine = CorrelationEngine::with_plans(plans(), CorrelationConfig::default());
    let mut reports = Vec::new();
    for message in &messages[..cut] {
        engine.apply(message.clone(), &mut reports).unwrap();
    }
    let before = state(&engine);
    let mut engine = restored(&engine, plans());
    prop_assert!(state(&engine) == before, "a restored state is the same state");
    engine.set_plans(Arc::new((*plans()).clone())).unwrap();
    prop_assert!(state(&engine) == before, "the same rules anew change nothing");
    for message in &messages[cut - redeliver.min(cut)..] {
        engine.apply(message.clone(), &mut reports).unwrap();
    }
    engine.finish(&mut reports).unwrap();
    prop_assert_eq!(standing(&reports), without_positions(want), "after a restore");
    Ok(())
}

#[test]
fn any_order_duplicates_partitions_and_crashes_give_the_alerts_of_the_reference() {
    let mut runner = TestRunner::new(Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(
            &(
                arrivals(),
                any::<usize>(),
                0usize..30,
                1u64..=4,
                3usize..400,
                0usize..60_000,
            ),
            |((arrival, partitions), cut, redeliver, workers, batch, memory)| {
                let run = Run {
                    cut,
                    redeliver,
                    workers,
                    batch,
                    memory,
                };
                check_laws(&arrival, partitions, run)
            },
        )
        .unwrap();
}

/// A law that is never put to the test is none: among so many arrivals each of the correlations raises alerts.
#[test]
fn every_correlation_of_the_laws_raises_alerts() {
    let mut runner = TestRunner::deterministic();
    let mut silent: std::collections::BTreeSet<Arc<str>> = plans().correlations.keys().cloned().collect();
    silent.retain(|id| plans().correlations[id].alerts);
    for _ in 0..2_000 {
        let (arrival, partitions) = arrivals().new_tree(&mut runner).unwrap().current();
        let (messages, _) = messages(&arrival, partitions);
        for alert in run(false, &messages) {
            silent.remove(alert.rule.id.as_str());
        }
        if silent.is_empty() {
            return;
        }
    }
    panic!("never an alert of {silent:?}");
}
