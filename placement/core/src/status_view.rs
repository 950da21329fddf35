//! How the cluster stands, on the wire: nodes, groups that lack something, operations that run.
//!
//! As the leader sees it. Whether this is well, and what to do, its readers decide.

use std::collections::BTreeMap;

use ringkv_proto::topology::to_proto;
use ringkv_proto::v1;
use ringkv_topology::{Group, NodeId, Topology};

use crate::observations::Observations;
use crate::operation::OperationState;
use crate::operations_view;
use crate::progress::Progress;
use crate::state::State;

/// The status at a time of the observations' clock; `None` until the cluster is initialized.
pub fn reply(
    state: &State,
    observations: &Observations,
    progress: &Progress,
    now_ms: u64,
) -> Option<v1::ClusterStatusReply> {
    let topology = state.topology()?;
    let wire = to_proto(topology);
    let leaders = observations.leaders(now_ms);
    let groups = topology.groups.values();
    let leaderless = groups.clone().filter(|group| !leaders.contains_key(&group.id));
    // A new leader has not heard from every node yet.
    let is_live = |node| silent_ms(observations, now_ms, node).is_none_or(|silent| silent == 0);
    let factor = usize::from(topology.settings.replication_factor);
    let live = |group: &Group| group.voters().filter(|voter| is_live(voter.node)).count();
    let lacking = groups.clone().filter(|group| live(group) < factor);
    let running = state.operations().into_iter();
    let running = running.filter(|operation| operation.state == OperationState::Running);
    Some(v1::ClusterStatusReply {
        cluster: topology.cluster.0,
        epoch: topology.epoch.0,
        bootstrapped: topology.is_bootstrapped(),
        replication_factor: topology.settings.replication_factor.into(),
        nodes: nodes(topology, &wire.nodes, observations, now_ms),
        runtime: wire.runtime,
        groups: u32::try_from(topology.groups.len()).unwrap_or(u32::MAX),
        groups_without_leader: leaderless.map(|group| group.id.0).collect(),
        under_replicated_groups: lacking.map(|group| group.id.0).collect(),
        operations: running
            .map(|operation| operations_view::operation(operation, progress))
            .collect(),
        blocked_by: progress.blockers(None).map(str::to_owned).collect(),
    })
}

fn nodes(
    topology: &Topology,
    wire: &[v1::Node],
    observations: &Observations,
    now_ms: u64,
) -> Vec<v1::NodeStatus> {
    let mut leads = BTreeMap::<NodeId, u32>::new();
    for node in observations.leaders(now_ms).into_values() {
        *leads.entry(node).or_default() += 1;
    }
    let replicas = |node: NodeId| {
        topology.groups.values().filter(|group| group.replica_on(node).is_some()).count()
    };
    let status = |node: &v1::Node| {
        let id = NodeId(node.id);
        let silent_ms = silent_ms(observations, now_ms, id);
        v1::NodeStatus {
            id: node.id,
            address: node.address.clone(),
            zone: node.zone.clone(),
            state: node.state,
            silent_s: silent_ms.map(|silent| silent / 1_000),
            replicas: u32::try_from(replicas(id)).unwrap_or(u32::MAX),
            leads: leads.get(&id).copied().unwrap_or_default(),
        }
    };
    wire.iter().map(status).collect()
}

/// 0 for a node that is alive; `None` while silence cannot be judged.
fn silent_ms(observations: &Observations, now_ms: u64, node: NodeId) -> Option<u64> {
    if observations.is_alive(now_ms, node) { Some(0) } else { observations.silent_ms(now_ms, node) }
}

#[cfg(test)]
mod tests;
