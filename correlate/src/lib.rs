//! Sigma rules → compiled engine; events → signals; signals → alerts.
//!
//! ```text
//! RuleFile ─RuleSet::load─▶ Loaded { RuleSet, Diagnostic }
//!
//!                      RuleSet                                      RuleSet
//!                         ▼                                            ▼
//! Event ─────────▶ Detector::detect ─ Signal, Watermark ─▶ CorrelationEngine::apply ─▶ Alert
//! ```
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
    Attribution, Binding, Bindings, Confidence, EntityKind, How, Identifier, IdentifierKind, Step, bindings_of,
    identifiers_of,
};
pub use explain::Explained;
pub use load::{Loaded, RuleFile};
pub use rule_set::{RuleInfo, RuleKind, RuleSet};
pub use sigma::extension::{RuleTest, TestEvent, TestPayload};
pub use sigma::head::STATUSES;
pub use sigma::modifier::MODIFIERS;
