//! Here is an identifier and a time: which entity did it stand for? (Entity resolution.)
//!
//! Which pod had an address, which container was of which pod, on which node, under which service account, with which cloud
//! session. `docs/entities.md` says what is learned from what, and for how long it holds. Owns the bindings; it knows no rule and no
//! alert.
//!
//! ```text
//! Event ─bindings_of─▶ Binding ─learn─▶ Bindings
//!   └────identifiers_of─▶ Identifier ─────resolve──▶ Attribution { entity, how, confidence, ambiguous }
//! ```

mod affected;
mod base;
mod bindings;
mod cluster;
mod dedup;
mod ending;
mod eviction;
mod fact_table;
mod history;
mod hold;
mod learn;
pub mod limits;
mod name_form;
mod named;
mod relation;
mod resolve;
mod snapshot;

pub(crate) use affected::{affected, reaches_back};
pub use base::needed_from;
pub use bindings::Bindings;
pub use casebook_event::{Binding, Confidence, EntityKind, How, Identifier, IdentifierKind};
pub(crate) use cluster::{cluster_of_group, is_of_cloud};
pub use dedup::BindingDedup;
pub use learn::bindings_of;
pub use named::identifiers_of;
pub use resolve::{Attribution, Step};

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
