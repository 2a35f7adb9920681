//! Laws of the engine against the reference, and worked cases. `world` has what they share.

mod cases;
mod examples;
mod late_laws;
mod late_worker;
mod laws;
mod learned_laws;
mod memory_store;
mod world;
