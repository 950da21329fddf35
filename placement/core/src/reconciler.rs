//! From what is and what was observed to the next commands.
//!
//! Level-triggered: looks at the whole each time and remembers nothing, so that a lost step, a
//! new leader or a restart changes nothing. Run by the leader every second. A step carries the
//! epoch it was planned at and is refused once that has passed. Explains what blocks it.

use std::collections::BTreeSet;

use ringkv_topology::{ClusterId, FormWhen, NodeId, Settings, form};

use crate::command::Command;
use crate::state::State;

/// What the operator asked for by this replica's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For a cluster that has none yet: drawn at random by the caller.
    pub cluster: ClusterId,
    pub settings: Settings,
    pub form_when: FormWhen,
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To propose in order; planned again if one is refused.
    pub steps: Vec<Command>,
    /// What has to happen first, for the operator.
    pub blocked: Option<String>,
}

/// Plans the next steps from the state and the nodes that are alive.
pub fn plan(state: &State, alive: &BTreeSet<NodeId>, wanted: &Wanted) -> Plan {
    let Some(topology) = state.topology() else {
        let init = Command::Init { cluster: wanted.cluster, settings: wanted.settings };
        return Plan { steps: vec![init], blocked: None };
    };
    if topology.is_formed() {
        return Plan::default();
    }
    let nodes = topology.nodes.values().filter(|node| alive.contains(&node.id));
    match form(nodes, &topology.settings, &wanted.form_when) {
        Ok(formation) => {
            let form = Command::Form {
                planned_at: topology.epoch,
                groups: formation.groups,
                owners: formation.owners,
            };
            Plan { steps: vec![form], blocked: None }
        }
        Err(blocked) => Plan { steps: Vec::new(), blocked: Some(blocked.to_string()) },
    }
}

#[cfg(test)]
mod tests;
