//! After any trouble the cluster heals by itself: every operation ends, every group is whole, and
//! replicas and leaders are spread.

use ringkv_placement_core::command::OperationCommand;
use ringkv_placement_core::operation::OperationKind;
use ringkv_topology::{NodeId, Role};

use crate::checks::{check_spread, unfinished};
use crate::random::Random;
use crate::world::{Shape, World};

/// Random clusters that each of the two tests takes.
const SEEDS: u64 = 1_000;

fn shape(seed: u64) -> Shape {
    let mut random = Random::new(seed ^ 0xabcd);
    let factor = random.pick(&[1, 3, 3, 3, 5]).expect("a factor");
    Shape {
        factor,
        nodes: usize::from(factor) + random.below(3),
        zones: random.pick(&[1, 1, 2, 3, 4]).expect("a number"),
        slots: random.pick(&[2, 4, 8]).expect("a count"),
        large: 20,
    }
}

/// Steps of the world after which a plan that is empty stays empty: a new leader of placement waits
/// for ten seconds before it judges nodes, and a node is lost after ten more.
const QUIET_TICKS: usize = 45;

/// Runs until nothing has been left to do for a while. Returns when the last step was planned.
fn settle(world: &mut World) -> u64 {
    let (mut quiet, mut last_ms) = (0, world.now_ms);
    for _ in 0..1_500 {
        world.tick();
        quiet += 1;
        if !world.last_plan.steps.is_empty() || unfinished(&world.state, &world.nodes).is_some() {
            (quiet, last_ms) = (0, world.now_ms);
        }
        if quiet >= QUIET_TICKS {
            assert_eq!(world.last_plan.blocked, []);
            let topology = world.state.topology().expect("initialized");
            check_spread(topology, &world.active_nodes());
            return last_ms;
        }
    }
    let unfinished = unfinished(&world.state, &world.nodes);
    panic!("never quiet: {:?}: {unfinished:?}", world.last_plan);
}

fn heal(seed: u64, trouble: &[u64]) {
    let mut world = World::new(seed, shape(seed));
    world.trouble = world.random.pick(trouble).expect("a number");
    for _ in 0..4 + world.random.below(8) {
        world.disturb();
        for _ in 0..world.random.below(40) {
            world.tick();
        }
    }
    world.calm();
    settle(&mut world);
}

/// Heals one cluster after the other. `RINGKV_SEED` at compile time repeats one.
fn heal_all(trouble: &[u64]) {
    if let Some(seed) = option_env!("RINGKV_SEED") {
        return heal(seed.parse().expect("a number"), trouble);
    }
    for seed in 0..SEEDS {
        let run = std::panic::catch_unwind(|| heal(seed, trouble));
        assert!(run.is_ok(), "seed {seed} with {:?}", shape(seed));
    }
}

#[test]
fn the_cluster_heals_after_any_faults_and_requests() {
    heal_all(&[0]);
}

#[test]
fn the_cluster_heals_while_messages_and_steps_are_lost_and_late() {
    heal_all(&[10, 30]);
}

/// A cluster of this many nodes without zones, and what its operations were.
fn calm_world(nodes: usize, slots: u32) -> World {
    World::new(7, Shape { factor: 3, nodes, zones: 1, slots, large: 0 })
}

fn kinds(world: &World) -> Vec<String> {
    let operations = world.state.operations();
    let moving = operations.iter().filter(|one| !matches!(one.kind, OperationKind::Bootstrap));
    moving.skip(1).map(|operation| operation.kind.to_string()).collect()
}

#[test]
fn a_new_node_gets_its_share_within_a_minute() {
    let mut world = calm_world(3, 64);
    settle(&mut world);
    let began_ms = world.now_ms;
    world.groups.values_mut().for_each(|group| group.bytes = 1 << 10);
    world.add_node();
    world.add_node();
    let took_ms = settle(&mut world) - began_ms;
    assert!(took_ms < 60_000, "took {took_ms} ms");
    assert_eq!(kinds(&world), ["spread to new node 4", "spread to new node 5"]);
}

#[test]
fn a_drained_node_holds_nothing_and_is_forgotten_once_it_is_gone() {
    let mut world = calm_world(4, 8);
    let node = NodeId(2);
    world.operate(OperationCommand::DrainNode { node, now_ms: 1 });
    settle(&mut world);
    assert!(world.nodes[&node].disk.is_empty());
    assert_eq!(kinds(&world), ["drain of node 2"]);
    world.stop(node);
    let gone = |world: &World| !world.nodes.contains_key(&NodeId(2));
    world.run_until(60, gone).expect("forgotten");
}

#[test]
fn a_drain_that_cannot_end_says_why_and_stops_when_it_is_taken_back() {
    let mut world = calm_world(3, 8);
    settle(&mut world);
    let node = NodeId(2);
    world.operate(OperationCommand::DrainNode { node, now_ms: 1 });
    (0..10).for_each(|_| world.tick());
    let blocked = &world.last_plan.blocked;
    assert_eq!(blocked[0].reason, "drain of node 2: 3 nodes are needed for 3 replicas, 2 are left");
    assert_eq!((blocked.len(), blocked[0].operation.is_some()), (1, true));
    world.operate(OperationCommand::UndrainNode { node, now_ms: 1 });
    settle(&mut world);
}

#[test]
fn a_node_that_returns_in_time_keeps_its_replicas() {
    let mut world = calm_world(4, 8);
    settle(&mut world);
    let (epoch, node) = (world.state.epoch(), NodeId(3));
    world.stop(node);
    (0..15).for_each(|_| world.tick());
    world.start(node);
    settle(&mut world);
    assert_eq!(world.state.epoch(), epoch);
}

#[test]
fn a_lost_node_is_replaced_and_an_empty_one_at_its_address_is_filled() {
    let mut world = calm_world(4, 8);
    settle(&mut world);
    world.wipe(NodeId(3));
    let gone = |world: &World| !world.nodes.contains_key(&NodeId(3));
    world.run_until(300, gone).expect("replaced and forgotten");
    settle(&mut world);
    assert!(kinds(&world).contains(&"repair after the loss of node 3".to_owned()));
    assert!(!world.nodes[&NodeId(5)].disk.is_empty());
}

#[test]
fn a_node_is_replaced_by_the_one_that_was_named() {
    let mut world = calm_world(4, 8);
    settle(&mut world);
    let held: Vec<_> = world.nodes[&NodeId(1)].disk.keys().copied().collect();
    world.add_node();
    let replace = OperationCommand::ReplaceNode { old: NodeId(1), new: NodeId(5), now_ms: 1 };
    world.operate(replace);
    let empty = |world: &World| world.nodes[&NodeId(1)].disk.is_empty();
    world.run_until(300, empty).expect("empty");
    assert!(held.iter().all(|group| world.nodes[&NodeId(5)].disk.contains_key(group)));
    settle(&mut world);
}

/// How many replicas are on each node, by the topology.
fn loads(world: &World) -> Vec<usize> {
    let topology = world.state.topology().expect("initialized");
    let load = |node: &NodeId| {
        let groups = topology.groups.values();
        groups.filter(|group| group.replica_on(*node).is_some()).count()
    };
    topology.nodes.keys().map(load).collect()
}

#[test]
fn a_zone_that_is_lost_is_replaced_and_gets_its_share_again_when_it_returns() {
    let mut world = World::new(7, Shape { factor: 3, nodes: 6, zones: 3, slots: 8, large: 0 });
    settle(&mut world);
    let before = loads(&world);
    let lost = world.stop_zone(NodeId(3));
    assert_eq!(lost, [NodeId(3), NodeId(6)]);
    let moved = |world: &World| loads(world) == [6, 6, 0, 6, 6, 0];
    world.run_until(300, moved).expect("all replicas are in the two zones that are left");
    lost.into_iter().for_each(|node| world.start(node));
    settle(&mut world);
    assert_eq!(loads(&world), before, "one replica of each group in each zone");
}

#[test]
fn a_node_that_returns_during_its_repair_keeps_what_is_not_yet_moved() {
    let mut world = calm_world(4, 16);
    world.groups.values_mut().for_each(|group| group.bytes = 1 << 30);
    settle(&mut world);
    let node = NodeId(3);
    world.stop(node);
    let repairs = |world: &World| world.state.moves().count() > 0;
    world.run_until(100, repairs).expect("lost");
    world.start(node);
    world.run_until(10, |world| world.state.moves().count() == 0).expect("taken back");
    assert_eq!(loads(&world), [12, 12, 12, 12]);
    settle(&mut world);
    assert_eq!(kinds(&world), ["repair after the loss of node 3"]);
}

#[test]
fn an_aborted_drain_takes_back_what_does_not_vote_yet() {
    let mut world = calm_world(4, 16);
    world.groups.values_mut().for_each(|group| group.bytes = 1 << 30);
    settle(&mut world);
    let node = NodeId(3);
    world.operate(OperationCommand::DrainNode { node, now_ms: 1 });
    world.run_until(10, |world| world.state.moves().count() > 0).expect("begun");
    let operations = world.state.operations();
    let operation = operations.last().expect("the drain").id;
    world.operate(OperationCommand::Abort { operation, now_ms: 2 });
    settle(&mut world);
    assert_eq!(loads(&world), [12, 12, 12, 12]);
}

#[test]
fn large_groups_move_two_at_a_time_to_a_node() {
    let mut world = calm_world(3, 16);
    world.groups.values_mut().for_each(|group| group.bytes = 1 << 30);
    settle(&mut world);
    world.add_node();
    for _ in 0..20 {
        world.tick();
        let topology = world.state.topology().expect("initialized");
        let groups = topology.groups.values();
        let learners = groups.flat_map(|group| &group.replicas);
        assert!(learners.filter(|one| one.role == Role::Learner).count() <= 2);
    }
    settle(&mut world);
}

#[test]
fn a_node_of_twice_the_capacity_gets_twice_as_much() {
    let mut world = calm_world(3, 16);
    world.shape.large = 100;
    world.add_node();
    settle(&mut world);
    // 36 replicas; a group has at most one of them on the large node.
    assert_eq!(loads(&world), [8, 8, 8, 12]);
}

#[test]
fn a_new_leader_of_placement_repairs_nothing_before_it_can_judge() {
    let mut world = calm_world(4, 8);
    settle(&mut world);
    let epoch = world.state.epoch();
    for _ in 0..5 {
        world.change_placement_leader();
        (0..15).for_each(|_| world.tick());
    }
    assert_eq!(world.state.epoch(), epoch);
}
