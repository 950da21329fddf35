use ringkv_topology::{ClusterId, Epoch, NodeId, NodeState};

use super::*;
use crate::state::tests::{
    CLUSTER, bootstrapped, fresh, initialized, node_state, register, returning,
};

#[test]
fn every_new_node_gets_the_next_id_and_an_epoch() {
    let mut state = initialized();
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    assert_eq!(register(&mut state, fresh("n2:1", 12)), Ok(NodeId(2)));
    assert_eq!(state.epoch(), Epoch(3));
}

#[test]
fn a_retry_from_the_same_process_gets_the_same_id() {
    let mut state = initialized();
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    let before = state.clone();
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    assert_eq!(state, before);
}

#[test]
fn a_known_node_is_confirmed_and_may_have_moved() {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    assert_eq!(register(&mut state, returning(1, "n1:1", 12)), Ok(NodeId(1)));
    assert_eq!(state.epoch(), Epoch(2), "no change that others need");
    assert_eq!(register(&mut state, returning(1, "elsewhere:1", 13)), Ok(NodeId(1)));
    assert_eq!(state.epoch(), Epoch(3));
    assert_eq!(state.topology().unwrap().nodes[&NodeId(1)].address, "elsewhere:1");
}

#[test]
fn nodes_that_swap_addresses_both_stay() {
    let mut state = bootstrapped();
    assert_eq!(register(&mut state, returning(1, "n2:1", 21)), Ok(NodeId(1)));
    assert_eq!(register(&mut state, returning(2, "n1:1", 22)), Ok(NodeId(2)));
    assert_eq!(node_state(&state, 1), Some(NodeState::Active));
    assert_eq!(node_state(&state, 2), Some(NodeState::Active));
}

#[test]
fn an_empty_node_at_the_address_of_one_with_replicas_leaves_it_a_way_back() {
    let mut state = bootstrapped();
    assert_eq!(register(&mut state, fresh("n2:1", 99)), Ok(NodeId(4)));
    assert_eq!(node_state(&state, 2), Some(NodeState::Active));
    assert_eq!(register(&mut state, returning(2, "n2:1", 100)), Ok(NodeId(2)));
}

#[test]
fn a_replaced_node_that_held_nothing_is_forgotten_but_never_comes_back() {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    assert_eq!(register(&mut state, fresh("n1:1", 12)), Ok(NodeId(2)));
    assert_eq!(node_state(&state, 1), None);
    let refused = register(&mut state, returning(1, "n1:1", 13));
    assert_eq!(refused, Err(Refusal::NodeReplaced { node: NodeId(1) }));
}

#[test]
fn a_node_of_another_cluster_or_never_seen_is_refused() {
    let mut state = initialized();
    let theirs = ClusterId(8);
    let unknown = Registration { identity: Some((theirs, NodeId(1))), ..fresh("n1:1", 1) };
    let refused = register(&mut state, unknown);
    assert_eq!(refused, Err(Refusal::WrongCluster { ours: CLUSTER, theirs }));
    let refused = register(&mut state, returning(1, "n1:1", 1));
    assert_eq!(refused, Err(Refusal::UnknownNode { node: NodeId(1) }));
}

#[test]
fn the_number_of_nodes_is_bounded() {
    let mut state = initialized();
    for id in 1..=u64::from(NODES_MAX) {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("room for it");
    }
    let refused = register(&mut state, fresh("one-more:1", 1));
    assert_eq!(refused, Err(Refusal::TooManyNodes { max: NODES_MAX }));
    assert!(register(&mut state, fresh("n7:1", 1)).is_ok(), "it takes the place of another");
}

#[test]
fn only_another_process_at_the_address_is_another_node() {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    assert_eq!(state.other_node_at("n1:1", 11), None);
    assert_eq!(state.other_node_at("n1:1", 12), Some(NodeId(1)));
    assert_eq!(state.other_node_at("n2:1", 12), None);
}
