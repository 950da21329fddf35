//! The series of the topology: how slots and replicas are spread over nodes and zones.
//!
//! Bounded by the number of nodes a cluster can have. Every replica of placement shows the same.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts};
use ringkv_topology::{GroupId, Topology};

use super::signed;

/// The label of nodes without a zone.
const NO_ZONE: &str = "none";

/// The series.
pub(super) struct RingSeries {
    epoch: IntGaugeVec,
    formed: IntGauge,
    groups: IntGauge,
    slots: IntGaugeVec,
    share: GaugeVec,
    zone_replicas: IntGaugeVec,
}

impl RingSeries {
    pub(super) fn new() -> prometheus::Result<Self> {
        let by =
            |label: &str, name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let share = Opts::new(
            "ringkv_ring_share_ratio",
            "Share of all slots' replicas that a storage node holds, 0 to 1.",
        );
        Ok(Self {
            epoch: by("component", "ringkv_ring_epoch", "Epoch of the topology known here.")?,
            formed: IntGauge::new(
                "ringkv_placement_formed",
                "Whether the cluster is bootstrapped: every slot has an owner; 1 yes, 0 no.",
            )?,
            groups: IntGauge::new("ringkv_placement_groups", "Groups of the topology.")?,
            slots: by(
                "node",
                "ringkv_ring_slots",
                "Slots of the groups whose preferred leader a storage node is.",
            )?,
            share: GaugeVec::new(share, &["node"])?,
            zone_replicas: by(
                "zone",
                "ringkv_placement_zone_replicas",
                "Replicas of groups in a zone; none for nodes that name no zone.",
            )?,
        })
    }

    /// Sets the series from a topology; `None` before the cluster is initialized.
    pub(super) fn show(&self, topology: Option<&Topology>) {
        self.slots.reset();
        self.share.reset();
        self.zone_replicas.reset();
        let epoch = topology.map_or(0, |topology| topology.epoch.0);
        self.epoch.with_label_values(&["placement"]).set(signed(epoch));
        let Some(topology) = topology else { return };
        self.formed.set(topology.is_bootstrapped().into());
        self.groups.set(signed(topology.groups.len() as u64));
        self.show_nodes(topology);
    }

    fn show_nodes(&self, topology: &Topology) {
        let mut owned: BTreeMap<GroupId, u64> = BTreeMap::new();
        topology.owners.iter().for_each(|group| *owned.entry(*group).or_default() += 1);
        // Slots led, and slots of which there is a replica.
        let mut nodes: BTreeMap<_, (u64, u64)> =
            topology.nodes.keys().map(|node| (*node, (0, 0))).collect();
        for group in topology.groups.values() {
            let slots = owned.get(&group.id).copied().unwrap_or_default();
            nodes.entry(group.preferred_leader).or_default().0 += slots;
            for replica in &group.replicas {
                nodes.entry(replica.node).or_default().1 += slots;
                let zone = topology.nodes.get(&replica.node).map_or("", |node| &node.zone);
                let zone = if zone.is_empty() { NO_ZONE } else { zone };
                self.zone_replicas.with_label_values(&[zone]).inc();
            }
        }
        let all: u64 = nodes.values().map(|(_, held)| held).sum();
        for (node, (led, held)) in nodes {
            let node = [&*node.to_string()];
            self.slots.with_label_values(&node).set(signed(led));
            self.share.with_label_values(&node).set(held as f64 / all.max(1) as f64);
        }
    }

    pub(super) fn families(&self) -> [&dyn Collector; 6] {
        [&self.epoch, &self.formed, &self.groups, &self.slots, &self.share, &self.zone_replicas]
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{
        ClusterId, Epoch, Group, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
        RuntimeSettings, Settings, SlotCount,
    };

    use super::*;

    /// Four nodes, the last of them empty; group 1 owns three slots of four, group 2 one.
    fn topology() -> Topology {
        let node = |id, zone: &str| Node {
            id: NodeId(id),
            address: format!("node-{id}:50051"),
            zone: zone.to_owned(),
            capacity: 100,
            state: NodeState::Active,
        };
        let group = |id, nodes: [u64; 2]| Group {
            id: GroupId(id),
            replicas: nodes
                .map(|node| Replica {
                    id: ReplicaId(10 * id + node),
                    node: NodeId(node),
                    role: Role::Voter,
                })
                .to_vec(),
            preferred_leader: NodeId(nodes[0]),
            formed: Epoch(2),
            changed: Epoch(2),
        };
        Topology {
            cluster: ClusterId(1),
            epoch: Epoch(7),
            settings: Settings {
                slot_count: SlotCount::new(4).unwrap(),
                replication_factor: 1,
                value_bytes_max: 1,
                read_mode: ReadMode::ReadIndex,
            },
            runtime: RuntimeSettings::default(),
            nodes: [node(1, "a"), node(2, "a"), node(3, ""), node(4, "b")]
                .map(|node| (node.id, node))
                .into(),
            groups: [group(1, [1, 2]), group(2, [2, 3])].map(|group| (group.id, group)).into(),
            owners: [1, 1, 2, 1].map(GroupId).to_vec(),
        }
    }

    #[test]
    fn slots_shares_and_zones_are_those_of_the_topology() {
        let series = RingSeries::new().unwrap();
        series.show(Some(&topology()));
        let slots = |node: &str| series.slots.with_label_values(&[node]).get();
        assert_eq!(["1", "2", "3", "4"].map(slots), [3, 1, 0, 0]);
        let share = |node: &str| series.share.with_label_values(&[node]).get();
        assert_eq!(["1", "2", "3", "4"].map(share), [0.375, 0.5, 0.125, 0.0]);
        let zone = |zone: &str| series.zone_replicas.with_label_values(&[zone]).get();
        assert_eq!(["a", NO_ZONE, "b"].map(zone), [3, 1, 0]);
        assert_eq!((series.formed.get(), series.groups.get()), (1, 2));
    }

    #[test]
    fn series_of_removed_nodes_disappear() {
        let series = RingSeries::new().unwrap();
        series.show(Some(&topology()));
        let mut smaller = topology();
        smaller.nodes.remove(&NodeId(4));
        series.show(Some(&smaller));
        assert_eq!(series.slots.collect()[0].get_metric().len(), 3);
        series.show(None);
        assert!(series.share.collect()[0].get_metric().is_empty());
    }
}
