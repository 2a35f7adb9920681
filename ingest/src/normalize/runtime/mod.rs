//! Here is what a sensor saw at run time, give me its event: Falco, Tetragon, file integrity, container statistics.
//!
//! It owns the sensors' fields. It never decides whether an alert of theirs is right.

pub(super) mod container_stats;
pub(super) mod falco;
pub(super) mod file_integrity;
pub(super) mod tetragon;
pub(super) mod tetragon_hook;
