use proptest::prelude::*;

use super::*;
use crate::{ReadMode, SlotCount};

fn node(id: u64, zone: &str, capacity: u32) -> Node {
    Node {
        id: NodeId(id),
        address: format!("node-{id}:50051"),
        zone: zone.into(),
        capacity,
        state: NodeState::Active,
    }
}

fn alike(count: u64) -> Vec<Node> {
    (1..=count).map(|id| node(id, "", 100)).collect()
}

fn settings(replication_factor: u8) -> Settings {
    Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    }
}

fn count_per_node(picks: impl Iterator<Item = NodeId>) -> BTreeMap<NodeId, usize> {
    let mut counts = BTreeMap::new();
    for node in picks {
        *counts.entry(node).or_default() += 1;
    }
    counts
}

#[test]
fn three_nodes_get_twelve_groups_and_lead_four_each() {
    let plan = plan_bootstrap(&alike(3), &settings(3), &BootstrapWhen::default())
        .expect("three are enough");
    assert_eq!(plan.groups.len(), 12);
    assert_eq!(plan.owners.len(), 4096);
    let leaders = count_per_node(plan.groups.iter().map(|group| group.nodes[0]));
    assert_eq!(leaders, (1..=3).map(|id| (NodeId(id), 4)).collect());
}

#[test]
fn one_node_is_enough_for_one_replica() {
    let plan =
        plan_bootstrap(&alike(1), &settings(1), &BootstrapWhen::default()).expect("one is enough");
    assert!(plan.groups.iter().all(|group| group.nodes == [NodeId(1)]));
}

#[test]
fn too_few_nodes_are_reported_with_both_counts() {
    let when = BootstrapWhen { nodes: 5, ..BootstrapWhen::default() };
    let blocked = plan_bootstrap(&alike(4), &settings(3), &when).unwrap_err();
    assert_eq!(blocked, BootstrapBlocked::Nodes { present: 4, needed: 5 });
    assert_eq!(blocked.to_string(), "4 of 5 nodes are registered and alive");
    let blocked = plan_bootstrap(&alike(2), &settings(3), &BootstrapWhen::default()).unwrap_err();
    assert_eq!(blocked, BootstrapBlocked::Nodes { present: 2, needed: 3 });
}

#[test]
fn draining_nodes_do_not_count() {
    let mut nodes = alike(3);
    nodes[1].state = NodeState::Draining;
    let blocked = plan_bootstrap(&nodes, &settings(3), &BootstrapWhen::default()).unwrap_err();
    assert_eq!(blocked, BootstrapBlocked::Nodes { present: 2, needed: 3 });
}

#[test]
fn named_servers_must_be_alive() {
    let servers = ["node-2:50051", "node-7:50051"].map(String::from).into();
    let blocked =
        plan_bootstrap(&alike(3), &settings(3), &BootstrapWhen { nodes: 3, servers }).unwrap_err();
    assert_eq!(blocked, BootstrapBlocked::Servers { missing: vec!["node-7:50051".into()] });
}

#[test]
fn a_node_of_twice_the_capacity_gets_twice_the_leaders() {
    let nodes = [node(1, "", 200), node(2, "", 100), node(3, "", 100), node(4, "", 100)];
    let plan =
        plan_bootstrap(&nodes, &settings(3), &BootstrapWhen::default()).expect("enough nodes");
    let leaders = count_per_node(plan.groups.iter().map(|group| group.nodes[0]));
    assert_eq!(leaders.into_values().collect::<Vec<_>>(), [7, 3, 3, 3]);
}

#[test]
fn the_groups_of_one_node_are_shared_with_all_others() {
    let plan =
        plan_bootstrap(&alike(6), &settings(3), &BootstrapWhen::default()).expect("enough nodes");
    let with_first: BTreeSet<NodeId> = plan
        .groups
        .iter()
        .filter(|group| group.nodes.contains(&NodeId(1)))
        .flat_map(|group| group.nodes.iter().copied())
        .collect();
    assert_eq!(with_first.len(), 6);
}

#[test]
fn groups_stop_at_the_number_the_ring_is_balanced_for() {
    let plan =
        plan_bootstrap(&alike(100), &settings(3), &BootstrapWhen::default()).expect("enough nodes");
    assert_eq!(plan.groups.len(), GROUPS_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replicas_never_share_a_node_and_spread_over_zones(
        layout in prop::collection::vec((0u8..5, 1u32..=1000), 5..24),
        factor in prop::sample::select(&[1u8, 3, 5]),
    ) {
        let nodes: Vec<Node> = (1..)
            .zip(&layout)
            .map(|(id, (zone, capacity))| node(id, &format!("zone-{zone}"), *capacity))
            .collect();
        let zones: BTreeSet<&str> = nodes.iter().map(|node| node.zone.as_str()).collect();
        let plan = plan_bootstrap(&nodes, &settings(factor), &BootstrapWhen::default()).expect("enough");
        for group in &plan.groups {
            let on: BTreeSet<NodeId> = group.nodes.iter().copied().collect();
            prop_assert_eq!(on.len(), usize::from(factor));
            let zone_of = |id: &NodeId| nodes[usize::try_from(id.0 - 1).unwrap()].zone.as_str();
            let in_zones: BTreeSet<&str> = on.iter().map(zone_of).collect();
            prop_assert_eq!(in_zones.len(), zones.len().min(usize::from(factor)));
        }
    }

    #[test]
    fn nodes_that_are_alike_get_nearly_the_same(count in 5u64..=64, factor in prop::sample::select(&[1u8, 3, 5])) {
        let plan = plan_bootstrap(&alike(count), &settings(factor), &BootstrapWhen::default()).expect("enough");
        let leaders = count_per_node(plan.groups.iter().map(|group| group.nodes[0]));
        prop_assert_eq!(leaders.into_values().collect::<BTreeSet<_>>(), [4].into());
        let replicas = count_per_node(plan.groups.iter().flat_map(|group| group.nodes.clone()));
        let fewest = replicas.values().min().copied().unwrap_or_default();
        let most = replicas.values().max().copied().unwrap_or_default();
        prop_assert!(most - fewest <= 2, "{fewest} to {most} replicas on a node");
    }

    #[test]
    fn the_order_in_which_nodes_are_given_does_not_matter(count in 3u64..10) {
        let mut nodes = alike(count);
        let plan = plan_bootstrap(&nodes, &settings(3), &BootstrapWhen::default());
        nodes.reverse();
        prop_assert_eq!(plan_bootstrap(&nodes, &settings(3), &BootstrapWhen::default()), plan);
    }
}
