//! Here are paths: give me the rules in them, now and whenever they change.

pub(crate) mod files;
pub(crate) mod reload;
