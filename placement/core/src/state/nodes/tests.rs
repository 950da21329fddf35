use ringkv_topology::{ClusterId, Epoch, NodeId, NodeState};

use super::*;
use crate::command::Command;
use crate::state::tests::{
    CLUSTER, bootstrapped, fresh, initialized, node_state, register, returning, secret_of,
    take_over,
};

fn sender(node: u64, incarnation: u64, address: &str) -> Sender {
    let claim = Claim { cluster: CLUSTER, node: NodeId(node), secret: secret_of(node) };
    Sender { claim, incarnation, address: address.into() }
}

fn holder(state: &mut State, registration: Registration) -> Option<AddressHolder> {
    let displaces = Vec::new();
    let secret = secret_of(99);
    match state.apply(Command::Register { registration, secret, displaces }) {
        CommandResult::Registered { holder, .. } => holder,
        other => panic!("not registered: {other:?}"),
    }
}

#[test]
fn every_new_node_gets_the_next_id_and_an_epoch() {
    let mut state = initialized();
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    assert_eq!(register(&mut state, fresh("n2:1", 12)), Ok(NodeId(2)));
    assert_eq!(state.epoch(), Epoch(3));
}

#[test]
fn a_retry_from_the_same_process_gets_the_same_id_and_secret() {
    let mut state = initialized();
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    let before = state.clone();
    // `register` draws the secret of node 2 for it and expects that of node 1.
    assert_eq!(register(&mut state, fresh("n1:1", 11)), Ok(NodeId(1)));
    assert_eq!(state, before);
}

#[test]
fn a_known_node_is_confirmed_and_may_have_moved() {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    assert_eq!(take_over(&mut state, returning(1, "n1:1", 12)), Ok(NodeId(1)));
    assert_eq!(state.epoch(), Epoch(2), "no change that others need");
    assert_eq!(take_over(&mut state, returning(1, "elsewhere:1", 13)), Ok(NodeId(1)));
    assert_eq!(state.epoch(), Epoch(3));
    assert_eq!(state.topology().unwrap().nodes[&NodeId(1)].address, "elsewhere:1");
}

#[test]
fn a_node_that_drains_goes_on_draining_after_a_restart() {
    let mut state = bootstrapped();
    let topology = &mut state.cluster.as_mut().unwrap().topology;
    topology.nodes.get_mut(&NodeId(2)).unwrap().state = NodeState::Draining;
    assert_eq!(take_over(&mut state, returning(2, "n2:1", 12)), Ok(NodeId(2)));
    assert_eq!(node_state(&state, 2), Some(NodeState::Draining));
}

#[test]
fn without_the_secret_nothing_changes() {
    let mut state = bootstrapped();
    let before = state.clone();
    let mut forged = returning(1, "elsewhere:1", 99);
    forged.claim.as_mut().unwrap().secret = secret_of(2);
    let refused = take_over(&mut state, forged);
    assert_eq!(refused, Err(Refusal::WrongSecret { node: NodeId(1) }));
    assert_eq!(state, before);
    let mut forged = sender(1, 1, "n1:1");
    forged.claim.secret = secret_of(2);
    assert_eq!(state.check_heartbeat(&forged), Err(Refusal::WrongSecret { node: NodeId(1) }));
}

#[test]
fn an_older_copy_is_refused_for_good() {
    let mut state = bootstrapped();
    assert_eq!(take_over(&mut state, returning(1, "n1:1", 7)), Ok(NodeId(1)));
    let before = state.clone();
    for starts in [6, 7] {
        let copy = Registration { incarnation: 50, starts, ..returning(1, "n9:1", 50) };
        let refused = take_over(&mut state, copy);
        assert_eq!(refused, Err(Refusal::OlderCopy { node: NodeId(1), starts, seen: 7 }));
    }
    assert_eq!(state, before);
    assert_eq!(take_over(&mut state, returning(1, "n9:1", 8)), Ok(NodeId(1)), "it is newer");
}

#[test]
fn only_the_process_that_registered_last_sends_heartbeats() {
    let mut state = bootstrapped();
    assert_eq!(state.check_heartbeat(&sender(1, 1, "n1:1")), Ok(()));
    let address: String = "n1:1".into();
    let refused = Err(Refusal::NotRegistered { node: NodeId(1), address });
    assert_eq!(state.check_heartbeat(&sender(1, 2, "n1:1")), refused);
    assert_eq!(state.check_heartbeat(&sender(1, 1, "n9:1")), refused, "it registers its address");
    assert_eq!(take_over(&mut state, returning(1, "n1:1", 2)), Ok(NodeId(1)));
    assert_eq!(state.check_heartbeat(&sender(1, 2, "n1:1")), Ok(()));
    assert_eq!(state.check_heartbeat(&sender(1, 1, "n1:1")), refused);
}

#[test]
fn a_node_of_a_recovered_cluster_proves_itself_by_its_registration() {
    let mut state = bootstrapped();
    state.cluster.as_mut().unwrap().fences.clear();
    assert!(state.check_heartbeat(&sender(1, 1, "n1:1")).is_err());
    assert_eq!(register(&mut state, returning(1, "n1:1", 4)), Ok(NodeId(1)));
    assert_eq!(state.check_heartbeat(&sender(1, 4, "n1:1")), Ok(()));
    let mut forged = returning(1, "n1:1", 5);
    forged.claim.as_mut().unwrap().secret = secret_of(2);
    assert!(take_over(&mut state, forged).is_err());
}

#[test]
fn nodes_that_swap_addresses_both_stay() {
    let mut state = bootstrapped();
    assert_eq!(take_over(&mut state, returning(1, "n2:1", 21)), Ok(NodeId(1)));
    assert_eq!(take_over(&mut state, returning(2, "n1:1", 22)), Ok(NodeId(2)));
    assert_eq!(node_state(&state, 1), Some(NodeState::Active));
    assert_eq!(node_state(&state, 2), Some(NodeState::Active));
}

#[test]
fn an_empty_node_at_the_address_of_one_with_replicas_is_warned_and_leaves_it_a_way_back() {
    let mut state = bootstrapped();
    let warned = holder(&mut state, fresh("n2:1", 99));
    assert_eq!(warned, Some(AddressHolder { node: NodeId(2), replicas: 12 }));
    assert_eq!(holder(&mut state, fresh("n2:1", 99)), warned, "a retry is warned too");
    assert_eq!(holder(&mut state, fresh("n5:1", 98)), None);
    assert_eq!(node_state(&state, 2), Some(NodeState::Active));
    assert_eq!(take_over(&mut state, returning(2, "n2:1", 100)), Ok(NodeId(2)));
}

#[test]
fn a_node_that_held_nothing_is_removed_by_the_next_at_its_address() {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    assert_eq!(register(&mut state, fresh("n1:1", 12)), Err(Refusal::Stale), "it may be alive");
    assert_eq!(take_over(&mut state, fresh("n1:1", 12)), Ok(NodeId(2)));
    assert_eq!(node_state(&state, 1), None);
    let refused = take_over(&mut state, returning(1, "n1:1", 13));
    assert_eq!(refused, Err(Refusal::NodeRemoved { node: NodeId(1) }));
}

#[test]
fn a_node_of_another_cluster_or_never_seen_is_refused() {
    let mut state = initialized();
    let theirs = ClusterId(8);
    let mut unknown = returning(1, "n1:1", 1);
    let refused = register(&mut state, unknown.clone());
    assert_eq!(refused, Err(Refusal::UnknownNode { node: NodeId(1) }));
    unknown.claim.as_mut().unwrap().cluster = theirs;
    let refused = register(&mut state, unknown);
    assert_eq!(refused, Err(Refusal::WrongCluster { ours: CLUSTER, theirs }));
}

#[test]
fn the_number_of_nodes_is_bounded() {
    let mut state = initialized();
    for id in 1..=u64::from(NODES_MAX) {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("room for it");
    }
    let refused = register(&mut state, fresh("one-more:1", 1));
    assert_eq!(refused, Err(Refusal::TooManyNodes { max: NODES_MAX }));
    assert!(take_over(&mut state, fresh("n7:1", 1)).is_ok(), "it takes the place of another");
}
