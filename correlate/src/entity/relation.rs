//! What may stand for what, for how long, and whether for one only.

use super::Identifier;
use super::IdentifierKind::{
    self, ContainerId, Identity, Image, InstanceId, NodeIp, NodeName, PodIp, PodName, PodUid, RoleSession,
    ServiceAccount, Workload,
};
use super::limits::{
    COARSE_GRAIN_NANOS, FINE_GRAIN_NANOS, MAX_ADDRESS_AGE_NANOS, MAX_ID_AGE_NANOS, MAX_NAME_AGE_NANOS,
    MAX_SESSION_AGE_NANOS,
};

/// The rules for bindings from one kind of identifier to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relation {
    /// How long it holds after it was seen last.
    pub(super) max_age_nanos: i64,
    /// The grain of time in which it is kept once.
    pub(super) grain_nanos: i64,
    /// Whether one that is first seen later takes the place of those before. Where not, all that hold, hold together.
    pub(super) passes: bool,
    /// Whether it ends with what is called `from`.
    pub(super) ends_with_from: bool,
    /// Whether it ends with what is called `to`.
    pub(super) ends_with_to: bool,
    /// Whether one that is observed later holds back to where the one before it is known to have ended.
    pub(super) reaches_back: bool,
}

impl Relation {
    const fn new(max_age_nanos: i64, grain_nanos: i64) -> Self {
        Self {
            max_age_nanos,
            grain_nanos,
            passes: true,
            ends_with_from: false,
            ends_with_to: false,
            reaches_back: false,
        }
    }

    const fn reaching_back(self) -> Self {
        Self {
            reaches_back: true,
            ..self
        }
    }

    const fn together(self) -> Self {
        Self { passes: false, ..self }
    }

    const fn ends_with(self, from: bool, to: bool) -> Self {
        Self {
            ends_with_from: from,
            ends_with_to: to,
            ..self
        }
    }

    /// The rules for bindings from `from` to `to`; `None` where nothing is learned of such.
    pub(super) fn of(from: IdentifierKind, to: IdentifierKind) -> Option<Self> {
        let address = Self::new(MAX_ADDRESS_AGE_NANOS, FINE_GRAIN_NANOS);
        let name = Self::new(MAX_NAME_AGE_NANOS, FINE_GRAIN_NANOS);
        let id = Self::new(MAX_ID_AGE_NANOS, COARSE_GRAIN_NANOS);
        let session = Self::new(MAX_SESSION_AGE_NANOS, FINE_GRAIN_NANOS).together();
        Some(match (from, to) {
            (PodIp, PodUid | PodName) => address.ends_with(false, true),
            (NodeIp, NodeName) => address,
            (PodName, PodUid) => name.ends_with(true, true).reaching_back(),
            (PodName, NodeName | Workload | ServiceAccount) => name.ends_with(true, false),
            (PodName, Image) => name.ends_with(true, false).together(),
            (NodeName, InstanceId) | (InstanceId, NodeName) => name,
            (PodUid, PodName | NodeName | Workload | ServiceAccount) => id,
            (ContainerId, PodUid | PodName | NodeName | ContainerId | Image) => id,
            (Workload, Workload) => id,
            (PodUid, Image) => id.together(),
            // A session is named by who takes it on: two may have one name, and last side by side.
            (RoleSession, RoleSession | ServiceAccount | PodUid | PodName | InstanceId) => session,
            // Access keys of users do not run out.
            (RoleSession, Identity) => name.together(),
            _ => return None,
        })
    }

    /// The rules for the ends of what an identifier names: only pods are seen to end.
    pub(super) fn of_ends(kind: IdentifierKind) -> Option<Self> {
        matches!(kind, PodUid | PodName).then_some(Self::new(MAX_ID_AGE_NANOS, FINE_GRAIN_NANOS))
    }

    /// The grain of time in which `nanos` lies, by its beginning.
    pub(super) const fn grain_start(&self, nanos: i64) -> i64 {
        nanos.div_euclid(self.grain_nanos).saturating_mul(self.grain_nanos)
    }
}

/// The rules for the bindings from `from` to `to`.
pub(super) fn relation(from: &Identifier, to: &Identifier) -> Option<Relation> {
    if from == to {
        Relation::of_ends(from.kind)
    } else {
        Relation::of(from.kind, to.kind)
    }
}
