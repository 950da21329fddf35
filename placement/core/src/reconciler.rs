//! Plans the next commands from the replicated state and the observations.
//!
//! Level-triggered: looks at the whole state each time and keeps nothing in between, so that a lost
//! step, a new leader or a restart needs no special case. The leader runs it every second. A step
//! carries the epoch at which it was planned and is refused after that epoch. Reports what blocks
//! it.

use std::collections::BTreeSet;

use ringkv_topology::{BootstrapWhen, ClusterId, NodeId, Settings, plan_bootstrap};

use crate::command::Command;
use crate::state::State;

/// What the operator configured on this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The id for a cluster that has none yet; the caller draws it at random.
    pub cluster: ClusterId,
    pub settings: Settings,
    pub bootstrap_when: BootstrapWhen,
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To propose in this order; if one is refused, plan again.
    pub steps: Vec<Command>,
    /// What has to happen first, as a text for the operator.
    pub blocked: Option<String>,
}

/// Plans the next steps from the state and the nodes that are alive.
pub fn plan(state: &State, alive: &BTreeSet<NodeId>, wanted: &Wanted) -> Plan {
    let Some(topology) = state.topology() else {
        if state.members().is_founding() {
            let blocked = "placement is being founded: not every number of --peers has a voter yet";
            return Plan { steps: Vec::new(), blocked: Some(blocked.to_owned()) };
        }
        let init = Command::Init { cluster: wanted.cluster, settings: wanted.settings };
        return Plan { steps: vec![init], blocked: None };
    };
    if topology.is_bootstrapped() {
        return Plan::default();
    }
    let nodes = topology.nodes.values().filter(|node| alive.contains(&node.id));
    match plan_bootstrap(nodes, &topology.settings, &wanted.bootstrap_when) {
        Ok(plan) => {
            let bootstrap = Command::Bootstrap {
                planned_at: topology.epoch,
                groups: plan.groups,
                owners: plan.owners,
                now_ms: 0,
            };
            Plan { steps: vec![bootstrap], blocked: None }
        }
        Err(blocked) => Plan { steps: Vec::new(), blocked: Some(blocked.to_string()) },
    }
}

#[cfg(test)]
mod tests;
