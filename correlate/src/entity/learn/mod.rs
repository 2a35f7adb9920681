//! Here is an event: which bindings does it report?
//!
//! One file for each kind of log, and what they share below them: the sink, a pod's names, a pod's object, a node's object.
//! Nothing here remembers an event, or asks what is known already.

mod audit;
mod cloud;
mod cloudtrail;
mod node;
mod node_logs;
mod pod;
mod pod_names;
mod sink;
mod sources;
#[cfg(test)]
mod tests;

pub use sources::bindings_of;
