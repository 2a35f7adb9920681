//! Here is a deployment's configuration: give me what would fail, before it runs.

mod clusters;
pub(crate) mod examination;
pub(crate) mod finding;
mod peers;
mod topics;
