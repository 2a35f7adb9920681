//! The corpus: seeded, repeatable logs of a Kubernetes cluster over all sources, for benchmarks, tests and the demo.
//!
//! ```text
//! CorpusConfig ─▶ Corpus (endless background: dense, or benign) ─┐
//!                 story (an attack) ─────────────────────────────┴─▶ demo (both, by time) ─▶ CorpusRecord
//! ```
//!
//! Everything is made up here, in the formats that the real programs write. One seed gives one cluster, and all sources
//! speak of the same nodes, pods, people and addresses. Nothing here depends on a clock or on a library's random numbers.

mod application;
mod audit;
mod auth;
mod benign;
mod cloudtrail;
mod cluster;
mod config;
mod container;
mod corpus;
mod damage;
mod demo;
mod dense;
mod intruder;
mod line;
mod random;
mod requests;
mod story;

pub use config::{Activity, CorpusConfig, Mix};
pub use corpus::{Corpus, CorpusRecord, SOURCES, topic};
pub use damage::Damage;
pub use demo::{DEMO_BACKGROUND_RECORDS, demo};
pub use intruder::ATTACKER_IP;
pub use story::{STORY_MINUTES, story};
