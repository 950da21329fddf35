//! A storage node from the outside: real sockets, stores and engine, a placement that says what
//! the test wants.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod clients;
mod fake_placement;
mod fixture;

mod bad_input;
mod keys;
mod lifecycle;
mod operations;
