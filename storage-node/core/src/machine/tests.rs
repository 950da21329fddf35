//! The machine on the memory store.

mod determinism;
mod exactly_once;
mod writes;
