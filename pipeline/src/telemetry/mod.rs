//! Here is what the stages did: give me the metrics of the process.

pub(crate) mod labels;
pub(crate) mod late;
pub(crate) mod metrics;
mod partitions;
