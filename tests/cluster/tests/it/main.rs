//! Process tests: a cluster of the real binaries keeps its promises during faults.
//!
//! Each test has a cluster of its own. They run one at a time (`.config/nextest.toml`), because the
//! deadlines of a test assume that no other cluster uses the machine.

mod availability;
mod command_line;
mod correctness;
mod membership;
mod observability;
