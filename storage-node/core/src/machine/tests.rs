//! The machine on the memory store.

mod destroys;
mod determinism;
mod exactly_once;
mod writes;
