//! What the words of a command line mean: "here are a command's arguments, give me the store, the range of time, the rules that they
//! name". It reads the environment and the clock, so that commands need not; it asks a store nothing.

mod age;
pub mod rules;
pub mod stores;
pub mod time_range;

pub use age::age;
