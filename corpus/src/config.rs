//! What a corpus is made of, and in which shares.

use std::str::FromStr;

use casebook_event::{Source, Timestamp};

/// The shares of the sources, as weights: a source of weight 0 does not appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    weights: [u32; Source::ALL.len()],
}

impl Default for Mix {
    /// 45 audit, 25 container, 10 CloudTrail, 8 auth, 12 application.
    fn default() -> Self {
        let weights = [0; Source::ALL.len()];
        Self { weights }
            .with(Source::KubernetesAudit, 45)
            .with(Source::ContainerLog, 25)
            .with(Source::CloudTrail, 10)
            .with(Source::Auth, 8)
            .with(Source::Application, 12)
    }
}

impl Mix {
    /// One source alone.
    pub fn only(source: Source) -> Self {
        let mut weights = [0; Source::ALL.len()];
        weights[source as usize] = 1;
        Self { weights }
    }

    /// This mix with another weight for one source.
    #[must_use]
    pub fn with(mut self, source: Source, weight: u32) -> Self {
        self.weights[source as usize] = weight;
        self
    }

    /// The weight of a source.
    pub fn weight(&self, source: Source) -> u32 {
        self.weights[source as usize]
    }

    /// The sum of the weights.
    pub fn total(&self) -> u64 {
        self.weights.iter().copied().map(u64::from).sum()
    }

    /// The source that owns `point` of the [`total`](Self::total); the last one beyond it.
    pub(crate) fn source_at(&self, mut point: u64) -> Source {
        for &source in Source::ALL {
            let weight = u64::from(self.weight(source));
            if point < weight {
                return source;
            }
            point -= weight;
        }
        Source::Application
    }
}

/// How much of what is out of the ordinary the background has. An attack is in neither: see [`story`](crate::story()).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activity {
    /// Everything comes often, so that a short corpus has all of it: for benchmarks of throughput.
    #[default]
    Dense,
    /// A day on which nothing happens: with the shipped rules, some one alert in ten thousand events.
    Benign,
}

impl FromStr for Activity {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "dense" => Ok(Self::Dense),
            "benign" => Ok(Self::Benign),
            _ => Err(format!("`{name}` is neither dense nor benign")),
        }
    }
}

/// How to make a corpus. The same configuration gives the same records, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusConfig {
    /// Which corpus.
    pub seed: u64,
    /// What kind of day it is.
    pub activity: Activity,
    /// The event time of the first record.
    pub start: Timestamp,
    /// How many records fall into a second of event time; at least 1.
    pub events_per_second: u32,
    /// The shares of the sources.
    pub mix: Mix,
    /// How many in a million records a shipper delivers once more, byte for byte, up to 64 records later.
    pub duplicates_per_million: u32,
    /// How many in a million records are damaged: see [`Damage`](crate::Damage).
    pub damaged_per_million: u32,
    /// How many in a million records come late.
    pub late_per_million: u32,
    /// By how much, in milliseconds, a late record comes late at most.
    pub lateness_ms: u32,
}

impl CorpusConfig {
    /// The configuration for a kind of day. A benign one has the output of containers first, fewer events a second, and
    /// few broken records.
    pub fn of(activity: Activity) -> Self {
        let dense = Self::default();
        match activity {
            Activity::Dense => dense,
            Activity::Benign => Self {
                activity,
                events_per_second: 200,
                mix: Mix::default()
                    .with(Source::ContainerLog, 54)
                    .with(Source::KubernetesAudit, 30)
                    .with(Source::Application, 11)
                    .with(Source::CloudTrail, 3)
                    .with(Source::Auth, 2),
                damaged_per_million: 50,
                ..dense
            },
        }
    }
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            activity: Activity::Dense,
            start: Timestamp::from_seconds(1_795_514_400),
            events_per_second: 1_000,
            mix: Mix::default(),
            duplicates_per_million: 3_000,
            damaged_per_million: 1_000,
            late_per_million: 20_000,
            lateness_ms: 4_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_of_the_mix_has_its_source() {
        let mix = Mix::default().with(Source::Auth, 0);
        assert_eq!(mix.total(), 92);
        let mut seen = [0; Source::ALL.len()];
        for point in 0..mix.total() {
            seen[mix.source_at(point) as usize] += 1;
        }
        let seen: Vec<u32> = crate::SOURCES.iter().map(|source| seen[*source as usize]).collect();
        assert_eq!(seen, [45, 25, 10, 0, 12]);
        assert_eq!(Mix::only(Source::Auth).source_at(0), Source::Auth);
    }

    #[test]
    fn the_default_start_is_a_round_date() {
        assert_eq!(CorpusConfig::default().start.to_string(), "2026-11-24T10:00:00Z");
    }
}
