//! Here is a running worker: give me whether it is well, over HTTP and by what the brokers answer.

pub(crate) mod broker_watch;
pub(crate) mod http;
