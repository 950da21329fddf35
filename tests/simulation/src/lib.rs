//! The whole system in one thread, from one seed.
//!
//! Runs the shipped poller, state machines, placement core and client routing in a world whose
//! time, network, disks and faults are all drawn from one `u64`: the same seed produces the same
//! run, to the last byte. Checks Raft's invariants after every step. At the end it checks that the
//! cluster converges, that replicas have the same state, and that the replies clients received are
//! linearizable. Uses no thread, clock or random source but the seed ([`run_many`] runs whole seeds
//! on threads).
//!
//! Replay a failure with `cargo xtask simulate --seed N`. Read in this order: `world`, `swarm`,
//! `faults`, `process`, `world/engine`, `invariants`, `linearizability`.

mod world;

mod swarm;

mod faults;
mod network;
mod seed;
mod time;

mod kv;
mod machine;
mod process;

mod coverage;
mod history;
mod invariants;
mod linearizability;
mod register;
mod trace;
mod violation;

mod report;

pub use coverage::Coverage;
pub use report::{Failure, Options, Report, Summary, run, run_many, trace_hashes};
pub use violation::Violation;
