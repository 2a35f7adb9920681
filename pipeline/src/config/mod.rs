//! Here is a configuration file: give me the deployment that it describes, or the line that is wrong.

pub(crate) mod deployment;
pub(crate) mod duration;
pub(crate) mod group;
pub(crate) mod kafka;
pub(crate) mod role;
