//! The pure core of placement: which nodes are in the cluster, and which group owns which slot.
//!
//! Read in this order: [`operation`] (what a change is), [`command`] (what is replicated),
//! [`state`] (the rules), [`image`] (state and log position as one value), [`observations`] and
//! [`divergence`] (what nodes report), [`admission`] (which process may take the place of another),
//! [`reconciler`] (what to do next), [`start`], [`member_steps`] and [`recovery`] (placement's own
//! replicas), then [`requests`], [`hints`], [`settings`], [`progress`], [`operations_view`] and
//! [`status_view`] (what the shell checks and sends).
//!
//! Never reads a clock, a file, a socket or a random number: time and ids are arguments, results
//! are values. Cargo.toml keeps runtimes and RocksDB out, clippy.toml the rest. The placement
//! process and the simulation drive the same code.

pub mod admission;
pub mod command;
pub mod divergence;
pub mod hints;
pub mod image;
pub mod member_steps;
pub mod members_view;
pub mod observations;
pub mod operation;
pub mod operations_view;
pub mod place;
pub mod progress;
pub mod reconciler;
pub mod recovery;
pub mod requests;
pub mod settings;
pub mod start;
pub mod state;
pub mod status_view;
