//! Here are files or a store: give me what the stages would have made of them, without Kafka and without a commit.

pub(crate) mod backtest;
pub(crate) mod pending;
pub(crate) mod rebuild;
pub(crate) mod replay;
pub(crate) mod rule_test;
