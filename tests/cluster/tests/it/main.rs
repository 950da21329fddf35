//! Process tests: what a cluster of the real binaries promises, kept through faults.
//!
//! Each test has a cluster of its own. They run one at a time (`.config/nextest.toml`), since a
//! test's deadlines are about a cluster that has the machine to itself.

mod availability;
mod command_line;
mod correctness;
mod observability;
