//! What a topology says of the replicas: how many each node has, and whether all are in place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Cluster, status, topology_of, until_ok};
use ringkv_proto::v1::{ReplicaRole, Topology};

/// Replicas of each node that is in the topology, by node id.
pub(crate) fn replicas_by_node(topology: &Topology) -> BTreeMap<u64, usize> {
    let mut counts: BTreeMap<u64, usize> = topology.nodes.iter().map(|node| (node.id, 0)).collect();
    for replica in topology.groups.iter().flat_map(|group| &group.replicas) {
        *counts.entry(replica.node).or_default() += 1;
    }
    counts
}

/// Checks that every group has `factor` voters and no change in progress.
///
/// # Errors
/// Names a group that has not.
pub(crate) fn all_in_place(topology: &Topology, factor: usize) -> anyhow::Result<()> {
    ensure!(!topology.groups.is_empty(), "there are no groups");
    for group in &topology.groups {
        let roles: Vec<_> = group.replicas.iter().map(|replica| replica.role()).collect();
        ensure!(
            roles.len() == factor && roles.iter().all(|role| *role == ReplicaRole::Voter),
            "group {} has {roles:?}",
            group.id
        );
    }
    Ok(())
}

/// Waits until every group is in place on these nodes (places in `cluster.nodes`) alone, none with
/// more than one replica more than another, and every one of them has what the topology names.
///
/// # Errors
/// Not within `deadline`; names the last reason.
pub(crate) async fn spread_over(
    cluster: &Cluster,
    nodes: &[usize],
    factor: usize,
    deadline: Duration,
) -> anyhow::Result<()> {
    until_ok("replicas spread over the nodes", deadline, async || {
        let topology = topology_of(cluster).await?;
        all_in_place(&topology, factor)?;
        let wanted: BTreeSet<&str> =
            nodes.iter().map(|node| cluster.nodes[*node].address.as_str()).collect();
        let counts = replicas_by_node(&topology);
        let mut on_wanted = Vec::new();
        for node in &topology.nodes {
            let count = counts[&node.id];
            if wanted.contains(node.address.as_str()) {
                on_wanted.push(count);
                let here = status(&node.address).await?;
                if here.node == node.id {
                    ensure!(here.groups.len() == count, "{} has not all", node.address);
                }
            } else {
                ensure!(count == 0, "node {} still has {count} replicas", node.id);
            }
        }
        // A node that came back with an empty disk is another node at the same address.
        on_wanted.retain(|count| *count > 0);
        let (least, most) = (on_wanted.iter().min(), on_wanted.iter().max());
        ensure!(
            on_wanted.len() == nodes.len() && most.zip(least).is_some_and(|(m, l)| m - l <= 1),
            "replicas by node: {counts:?}"
        );
        Ok(())
    })
    .await
}
