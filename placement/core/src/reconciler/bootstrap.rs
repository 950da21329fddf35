//! The beginning: the cluster's id and settings, then its first groups.

use std::collections::BTreeSet;

use ringkv_topology::{NodeId, Topology, plan_bootstrap};

use crate::command::Command;
use crate::reconciler::{Blocker, Now, Plan, Wanted};

/// Waits for placement's own replicas: what is decided before is lost with the first of them.
pub(super) fn founding() -> Plan {
    let reason =
        "placement is being founded: not every number of --peers has a voter yet".to_owned();
    Plan { steps: Vec::new(), blocked: vec![Blocker { operation: None, reason }] }
}

/// Plans the settings of a cluster that has none.
pub(super) fn init(wanted: &Wanted) -> Plan {
    let init = Command::Init { cluster: wanted.cluster, settings: wanted.settings };
    Plan { steps: vec![init], blocked: Vec::new() }
}

/// Plans the first groups once enough nodes are alive.
pub(super) fn plan(
    topology: &Topology,
    alive: &BTreeSet<NodeId>,
    wanted: &Wanted,
    now: Now,
) -> Plan {
    let nodes = topology.nodes.values().filter(|node| alive.contains(&node.id));
    match plan_bootstrap(nodes, &topology.settings, &wanted.bootstrap_when) {
        Ok(plan) => {
            let bootstrap = Command::Bootstrap {
                planned_at: topology.epoch,
                groups: plan.groups,
                owners: plan.owners,
                now_ms: now.wall_ms,
            };
            Plan { steps: vec![bootstrap], blocked: Vec::new() }
        }
        Err(blocked) => {
            let blocker = Blocker { operation: None, reason: blocked.to_string() };
            Plan { steps: Vec::new(), blocked: vec![blocker] }
        }
    }
}
