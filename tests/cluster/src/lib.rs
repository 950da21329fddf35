//! Harness of the process tests: clusters of the real binaries on loopback, and faults for them.
//!
//! Owns child processes, their ports, logs and directories, and removes all of them, also when a
//! test fails; in that case it prints the ends of all logs. Sends signals only to processes that
//! it started. Waits for a condition with a deadline, never for a fixed time.
//!
//! The binaries are those in `target/debug` of this checkout, or in `RINGKV_BIN_DIR`.

mod binaries;
mod ports;
mod process;
mod wait;

mod admin;
mod certificates;
mod cli;
mod cluster;
mod collector;
mod http;
mod layout;
mod metrics;
mod service;
mod shape;

mod load;
mod tmpfs;

pub use admin::{Leader, all_groups_led, group_of, group_status, leader_of, status, topology_of};
pub use cli::{Output, ringkv};
pub use cluster::{Cluster, run};
pub use collector::{Collector, ReceivedSpan};
pub use http::{Answer, Gateway, PathForm, send};
pub use load::{Load, LoadReport, Shortfall};
pub use metrics::{metric, metrics_page};
pub use ports::free_port;
pub use process::Process;
pub use service::{Service, set_flag};
pub use shape::Shape;
pub use tmpfs::Tmpfs;
pub use wait::{until, until_ok};
