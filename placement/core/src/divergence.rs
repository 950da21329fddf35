//! Finds replicas whose state differs from that of the majority of their group.
//!
//! Every replica reports the hash of its state at agreed log indexes. Two replicas with different
//! hashes at one index have diverged. A majority of all replicas decides which state is wrong;
//! without a majority no replica is reported. In memory only, like all observations.

use std::collections::BTreeMap;

use ringkv_topology::{Group, GroupId, NodeId, Topology};

/// The hash of a replica's state at a log index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash {
    pub index: u64,
    pub hash: u64,
}

/// The last reports, by group and node.
#[derive(Clone, Debug, Default)]
pub struct StateHashes {
    groups: BTreeMap<GroupId, Reports>,
}

type Reports = BTreeMap<NodeId, Vec<StateHash>>;

impl StateHashes {
    /// Replaces a node's last report on a group.
    pub fn reported(&mut self, group: GroupId, node: NodeId, hashes: Vec<StateHash>) {
        self.groups.entry(group).or_default().insert(node, hashes);
    }

    /// The groups in which the node's replica differs from a majority.
    pub fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        let mut diverged = Vec::new();
        for (id, reports) in &self.groups {
            let Some(group) = topology.groups.get(id) else { continue };
            let own = reports.get(&node).filter(|_| holds(group, node)).into_iter().flatten();
            if own.clone().any(|hash| is_outvoted(*hash, group, reports)) {
                diverged.push(*id);
            }
        }
        diverged
    }

    /// Drops what the topology does not name, which bounds the memory in use.
    pub fn retain_known(&mut self, topology: &Topology) {
        self.groups.retain(|group, reports| {
            reports.retain(|node, _| topology.nodes.contains_key(node));
            topology.groups.contains_key(group)
        });
    }
}

fn holds(group: &Group, node: NodeId) -> bool {
    group.replicas.iter().any(|replica| replica.node == node)
}

/// Whether a majority of the group's replicas agree on another hash at the same index.
fn is_outvoted(own: StateHash, group: &Group, reports: &Reports) -> bool {
    let majority = group.replicas.len() / 2 + 1;
    let mut others: BTreeMap<u64, usize> = BTreeMap::new();
    for replica in &group.replicas {
        let report = reports.get(&replica.node).into_iter().flatten();
        let same_index = |other: &&StateHash| other.index == own.index;
        for other in report.filter(same_index).filter(|other| other.hash != own.hash) {
            *others.entry(other.hash).or_default() += 1;
        }
    }
    others.values().any(|nodes| *nodes >= majority)
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{
        ClusterId, Epoch, ReadMode, Replica, ReplicaId, Role, RuntimeSettings, Settings, SlotCount,
    };

    use super::*;

    const GROUP: GroupId = GroupId(1);

    /// One group with replicas on nodes 1 to `replicas`.
    fn topology(replicas: u64) -> Topology {
        let replica = |node| Replica { id: ReplicaId(node), node: NodeId(node), role: Role::Voter };
        let group = Group {
            id: GROUP,
            replicas: (1..=replicas).map(replica).collect(),
            preferred_leader: NodeId(1),
            formed: Epoch(1),
            changed: Epoch(1),
        };
        Topology {
            cluster: ClusterId(1),
            epoch: Epoch(1),
            settings: Settings {
                slot_count: SlotCount::new(4).unwrap(),
                replication_factor: 3,
                value_bytes_max: 1,
                read_mode: ReadMode::ReadIndex,
            },
            runtime: RuntimeSettings::default(),
            nodes: BTreeMap::new(),
            groups: [(GROUP, group)].into(),
            owners: Vec::new(),
        }
    }

    /// The nodes reported as diverged after these reports of `(node, [(index, hash)])`.
    fn accused(replicas: u64, reports: &[(u64, &[(u64, u64)])]) -> Vec<u64> {
        let mut hashes = StateHashes::default();
        for (node, report) in reports {
            let hash = |(index, hash): &(u64, u64)| StateHash { index: *index, hash: *hash };
            let report = report.iter().map(hash).collect();
            hashes.reported(GROUP, NodeId(*node), report);
        }
        let topology = topology(replicas);
        let accused = |node: &u64| !hashes.diverged_groups(&topology, NodeId(*node)).is_empty();
        (1..=9).filter(accused).collect()
    }

    #[test]
    fn the_one_that_differs_from_a_majority_is_accused() {
        let reports: [(u64, &[(u64, u64)]); 3] = [(1, &[(8, 5)]), (2, &[(8, 6)]), (3, &[(8, 5)])];
        assert_eq!(accused(3, &reports), [2]);
    }

    #[test]
    fn two_of_three_that_differ_accuse_nobody() {
        assert_eq!(accused(3, &[(1, &[(8, 5)]), (2, &[(8, 6)])]), [] as [u64; 0]);
        let all_differ: [(u64, &[(u64, u64)]); 3] =
            [(1, &[(8, 5)]), (2, &[(8, 6)]), (3, &[(8, 7)])];
        assert_eq!(accused(3, &all_differ), [] as [u64; 0]);
    }

    #[test]
    fn two_against_two_of_five_is_no_majority() {
        let mut reports: Vec<(u64, &[(u64, u64)])> =
            vec![(1, &[(8, 5)]), (2, &[(8, 5)]), (3, &[(8, 6)]), (4, &[(8, 6)])];
        assert_eq!(accused(5, &reports), [] as [u64; 0]);
        reports.push((5, &[(8, 5)]));
        assert_eq!(accused(5, &reports), [3, 4]);
    }

    #[test]
    fn only_equal_indexes_are_compared() {
        let reports: [(u64, &[(u64, u64)]); 3] =
            [(1, &[(8, 5), (16, 9)]), (2, &[(16, 9), (24, 3)]), (3, &[(24, 4)])];
        assert_eq!(accused(3, &reports), [] as [u64; 0]);
    }

    #[test]
    fn a_node_without_a_replica_does_not_count() {
        let reports: [(u64, &[(u64, u64)]); 3] = [(1, &[(8, 5)]), (4, &[(8, 6)]), (5, &[(8, 6)])];
        assert_eq!(accused(3, &reports), [] as [u64; 0]);
        let reports: [(u64, &[(u64, u64)]); 3] = [(1, &[(8, 5)]), (2, &[(8, 5)]), (4, &[(8, 6)])];
        assert_eq!(accused(3, &reports), [] as [u64; 0], "it has no replica to rebuild");
    }

    #[test]
    fn a_new_report_takes_the_place_of_the_last() {
        let reports: [(u64, &[(u64, u64)]); 4] =
            [(1, &[(8, 5)]), (2, &[(8, 6)]), (3, &[(8, 5)]), (2, &[])];
        assert_eq!(accused(3, &reports), [] as [u64; 0]);
    }
}
