//! The face of the crate: opens the tables, and hands every request to the room that answers it. Nothing is decided here.

mod delivery;
mod maintain;
mod open;
mod questions;

pub use open::{Store, TableStatus};
