//! The six boards: what each shows, in the order a reader meets it.
//!
//! One file a board. A panel may name only metrics of `docs/metrics.md`, which `check` asks for.

mod shared;

mod overview;

mod gateway;
mod placement;
mod raft;
mod storage;

mod slow;

use super::board::{Board, Variable};

pub(super) const OVERVIEW: &str = "ringkv-overview";
pub(super) const GATEWAY: &str = "ringkv-gateway";
pub(super) const RAFT: &str = "ringkv-raft";
pub(super) const STORAGE: &str = "ringkv-storage";
pub(super) const PLACEMENT: &str = "ringkv-placement";
pub(super) const SLOW: &str = "ringkv-why-is-it-slow";

/// A request is slow from here on: the objective that the alert on latency holds too, in seconds.
pub(super) const SLOW_SECONDS: f64 = 0.25;
/// A sync of the log is slow from here on, in seconds: as the alert says.
pub(super) const SLOW_FSYNC_SECONDS: f64 = 0.1;

pub(super) const JOB: Variable =
    Variable { name: "job", heading: "Service", metric: "ringkv_build_info", label: "job" };
pub(super) const GATEWAY_INSTANCE: Variable = Variable {
    name: "gateway",
    heading: "Gateway",
    metric: "ringkv_gateway_in_flight",
    label: "instance",
};
pub(super) const NODE: Variable =
    Variable { name: "node", heading: "Node", metric: "ringkv_raft_leaders", label: "instance" };
pub(super) const GROUP: Variable = Variable {
    name: "group",
    heading: "Group",
    metric: "raft_term{job=\"ringkv-storage-node\"}",
    label: "group",
};

/// All boards, in the order in which they are linked.
pub(crate) fn all() -> Vec<Board> {
    vec![
        overview::board(),
        gateway::board(),
        raft::board(),
        storage::board(),
        placement::board(),
        slow::board(),
    ]
}
