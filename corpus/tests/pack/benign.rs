//! The benign corpus against the pack: how often nobody's attack raises an alert.

use std::collections::BTreeMap;

use casebook_corpus::{Activity, Corpus, CorpusConfig, CorpusRecord};
use casebook_event::{Alert, Level};

use crate::{load, pack, run_corpus};

const RECORDS: usize = 200_000;

/// One in ten thousand, and half as many or twice as many: the shares are random, and the corpus is one of many.
const ALERTS: std::ops::RangeInclusive<usize> = RECORDS / 20_000..=RECORDS / 5_000;

#[test]
fn a_benign_day_raises_one_alert_in_ten_thousand_events() {
    let rules = load(pack());
    for seed in [1, 2] {
        let config = CorpusConfig {
            seed,
            ..CorpusConfig::of(Activity::Benign)
        };
        let records: Vec<CorpusRecord> = Corpus::new(config).take(RECORDS).collect();
        let (alerts, dead) = run_corpus(&rules, &records);
        let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
        for alert in &alerts {
            *by_rule.entry(&alert.rule.name).or_default() += 1;
        }
        assert!(ALERTS.contains(&alerts.len()), "seed {seed}: {by_rule:?}");
        let loud: Vec<&Alert> = alerts
            .iter()
            .filter(|alert| alert.rule.level >= Level::Medium)
            .collect();
        assert!(loud.is_empty(), "seed {seed}: {loud:?}");
        let damaged = records.iter().filter(|record| record.damage.is_some()).count();
        assert!(
            damaged > 0 && dead <= damaged,
            "seed {seed}: {dead} undecoded of {damaged}"
        );
    }
}
