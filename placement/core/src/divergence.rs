//! Which replicas hold another state than the majority of their group.
//!
//! Every replica reports the checksum of its state at agreed indexes. Two that differ at one index
//! have diverged from each other; whose state is wrong is for a majority of all replicas to say,
//! and without one nobody is accused. In memory only, as all that is observed.

use std::collections::BTreeMap;

use ringkv_topology::{Group, GroupId, NodeId, Topology};

/// The checksum of a replica's state at a log index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub index: u64,
    pub checksum: u64,
}

/// What was last reported, by group and node.
#[derive(Clone, Debug, Default)]
pub struct Checkpoints {
    groups: BTreeMap<GroupId, Reports>,
}

type Reports = BTreeMap<NodeId, Vec<Checkpoint>>;

impl Checkpoints {
    /// Takes a node's report on a group in the place of its last.
    pub fn reported(&mut self, group: GroupId, node: NodeId, checkpoints: Vec<Checkpoint>) {
        self.groups.entry(group).or_default().insert(node, checkpoints);
    }

    /// The groups of which the node's replica differs from a majority.
    pub fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        let mut diverged = Vec::new();
        for (id, reports) in &self.groups {
            let Some(group) = topology.groups.get(id) else { continue };
            let own = reports.get(&node).filter(|_| holds(group, node)).into_iter().flatten();
            if own.clone().any(|checkpoint| is_outvoted(*checkpoint, group, reports)) {
                diverged.push(*id);
            }
        }
        diverged
    }

    /// Forgets what the topology does not name, which bounds what is kept.
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

/// Whether a majority of the group's replicas agree on another checksum at the same index.
fn is_outvoted(own: Checkpoint, group: &Group, reports: &Reports) -> bool {
    let majority = group.replicas.len() / 2 + 1;
    let mut others: BTreeMap<u64, usize> = BTreeMap::new();
    for replica in &group.replicas {
        let report = reports.get(&replica.node).into_iter().flatten();
        let same_index = |other: &&Checkpoint| other.index == own.index;
        for other in report.filter(same_index).filter(|other| other.checksum != own.checksum) {
            *others.entry(other.checksum).or_default() += 1;
        }
    }
    others.values().any(|nodes| *nodes >= majority)
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{
        ClusterId, Epoch, ReadMode, Replica, ReplicaId, Role, Settings, SlotCount,
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
            nodes: BTreeMap::new(),
            groups: [(GROUP, group)].into(),
            owners: Vec::new(),
        }
    }

    /// Which nodes of `replicas` are accused after these reports of `(node, [(index, checksum)])`.
    fn accused(replicas: u64, reports: &[(u64, &[(u64, u64)])]) -> Vec<u64> {
        let mut checkpoints = Checkpoints::default();
        for (node, report) in reports {
            let checkpoint =
                |(index, checksum): &(u64, u64)| Checkpoint { index: *index, checksum: *checksum };
            let report = report.iter().map(checkpoint).collect();
            checkpoints.reported(GROUP, NodeId(*node), report);
        }
        let topology = topology(replicas);
        let accused =
            |node: &u64| !checkpoints.diverged_groups(&topology, NodeId(*node)).is_empty();
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
    fn who_holds_no_replica_has_no_say() {
        let reports: [(u64, &[(u64, u64)]); 3] = [(1, &[(8, 5)]), (4, &[(8, 6)]), (5, &[(8, 6)])];
        assert_eq!(accused(3, &reports), [] as [u64; 0]);
        let reports: [(u64, &[(u64, u64)]); 3] = [(1, &[(8, 5)]), (2, &[(8, 5)]), (4, &[(8, 6)])];
        assert_eq!(accused(3, &reports), [] as [u64; 0], "nor anything to rebuild");
    }

    #[test]
    fn a_new_report_takes_the_place_of_the_last() {
        let reports: [(u64, &[(u64, u64)]); 4] =
            [(1, &[(8, 5)]), (2, &[(8, 6)]), (3, &[(8, 5)]), (2, &[])];
        assert_eq!(accused(3, &reports), [] as [u64; 0]);
    }
}
