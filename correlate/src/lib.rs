//! Sigma rules and events in; signals and alerts out.
//!
//! ```text
//! RuleFile ─RuleSet::load─▶ Loaded { RuleSet, Diagnostic }
//!
//!                      RuleSet                                      RuleSet
//!                         ▼                                            ▼
//! Event ─────▶ Detector::messages ─ Signal, Binding ─▶ CorrelationEngine::apply ─▶ Alert
//!                                   Watermark ───────────▶       │     ▲
//!                                                              Kept    │ Repair (of what came late)
//!                                                                ▼     │
//!                                                           the caller's tables
//! ```
//!
//! One question a room, each above those that it builds on:
//!
//! | here is … | give me … | room |
//! |---|---|---|
//! | signals, bindings and watermarks, in any order | the alerts | `correlation` |
//! | an event, and a rule | why it matches, or does not | `explain` |
//! | an event | the rules that match, and their signals | `detection` |
//! | the texts of rule files | the rules, and what is wrong with them | `load` |
//! | rules that parsed, one by one | the set that they make together | `linker` |
//! | an id | the rule, and what its match leads to | `rule_set` |
//! | detections as they were written | a plan that asks nothing twice | `compile` |
//! | a YAML document | a rule, or where it is wrong | `sigma` |
//! | an identifier, and a time | the entity that it stood for | `entity` |
//!
//! Pure and synchronous: no I/O, no clock, no threads. Everything here is a function of what it is given, and the final
//! alerts are a function of the set of events: `docs/correlation-semantics.md` says which.

mod compile;
mod correlation;
mod detection;
mod diagnostic;
mod entity;
mod explain;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod limits;
mod linker;
mod load;
mod rule_set;
mod sigma;
mod text;

pub use correlation::{
    Change, ColdError, ColdStore, CorrelationConfig, CorrelationEngine, CorrelationStats, Found, PendingGroup, Repair,
    RepairRequest, RepairStats, Repaired, Requirement, Restoring, SnapshotError, SnapshotParts,
};
pub use detection::Detector;
pub use diagnostic::{Diagnostic, LINTS, Severity};
pub use entity::limits as entity_limits;
pub use entity::{
    Attribution, Binding, BindingDedup, Bindings, Confidence, EntityKind, How, Identifier, IdentifierKind, Step,
    bindings_of, identifiers_of, needed_from,
};
pub use explain::Explained;
pub use load::{Loaded, RuleFile};
pub use rule_set::{RuleInfo, RuleKind, RuleSet};
pub use sigma::extension::{RuleTest, TestEvent, TestPayload};
pub use sigma::head::STATUSES;
pub use sigma::modifier::MODIFIERS;
