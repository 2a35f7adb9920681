//! Here is a `correlation` section: what does it count, of which rules, grouped by what, within which time?
//!
//! Specification: Sigma correlations 2.1. What the types mean in event time is defined in
//! `docs/correlation-semantics.md`. It does not know the other rules: `linker` resolves the references.

pub(crate) mod comparison;
mod extension;
mod kind;
mod parse;
mod reference;
mod section;
mod timespan;

pub(crate) use extension::KEYS as EXTENSION_KEYS;
pub(crate) use kind::{Clusters, CorrelationKind, Deviation, FirstSeen, Measure, Sequence, Statistic, Together, Which};
pub(crate) use reference::Reference;
pub(crate) use section::Correlation;
