//! What watchers receive with the topology: the leader of each group, and which nodes are alive.
//!
//! Owns the conversion of these hints to and from a `TopologyUpdate`. Hints may be out of date:
//! nothing is decided by them, and they are in memory only.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_proto::topology::to_proto;
use ringkv_proto::v1::{LeaderHint, TopologyUpdate};
use ringkv_topology::{GroupId, NodeId};

use crate::state::State;

/// Leaders by group, and the nodes that are alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    pub leaders: BTreeMap<GroupId, NodeId>,
    pub alive: BTreeSet<NodeId>,
}

impl Hints {
    /// The hints of an update; ids of 0 are left out.
    pub fn of(update: &TopologyUpdate) -> Self {
        let leaders = update.leaders.iter().filter_map(|hint| {
            Some((GroupId::from_wire(hint.group)?, NodeId::from_wire(hint.node)?))
        });
        let alive = update.alive_nodes.iter().copied().filter_map(NodeId::from_wire);
        Self { leaders: leaders.collect(), alive: alive.collect() }
    }
}

/// The update that watchers receive; `None` until the cluster is initialized.
pub fn update(state: &State, hints: &Hints) -> Option<TopologyUpdate> {
    let hint = |(group, node): (&GroupId, &NodeId)| LeaderHint { group: group.0, node: node.0 };
    Some(TopologyUpdate {
        topology: Some(to_proto(state.topology()?)),
        leaders: hints.leaders.iter().map(hint).collect(),
        alive_nodes: hints.alive.iter().map(|node| node.0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{ClusterId, ReadMode, Settings, SlotCount};

    use super::*;
    use crate::command::Command;

    fn initialized() -> State {
        let settings = Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        };
        let mut state = State::default();
        state.apply(Command::Init { cluster: ClusterId(9), settings });
        state
    }

    #[test]
    fn hints_come_back_as_they_were_sent() {
        let hints = Hints {
            leaders: [(GroupId(4), NodeId(7))].into(),
            alive: [NodeId(7), NodeId(8)].into(),
        };
        let update = update(&initialized(), &hints).expect("initialized");
        assert_eq!(Hints::of(&update), hints);
    }

    #[test]
    fn there_is_no_update_before_the_cluster_is_initialized() {
        assert_eq!(update(&State::default(), &Hints::default()), None);
    }

    #[test]
    fn ids_of_zero_are_left_out() {
        let update = TopologyUpdate {
            leaders: vec![LeaderHint { group: 0, node: 7 }, LeaderHint { group: 4, node: 0 }],
            alive_nodes: vec![0],
            ..TopologyUpdate::default()
        };
        assert_eq!(Hints::of(&update), Hints::default());
    }
}
