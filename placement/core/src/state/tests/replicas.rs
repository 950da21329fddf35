//! The steps of a change of replicas, their guards, and what any order of them keeps.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ringkv_topology::{Group, Replica, ReplicaId, Role};

use super::*;
use crate::command::{Join, OperationCommand, ReplicaCommand};
use crate::operation::OperationKind;

/// Three nodes with replicas and two without.
fn grown() -> State {
    let mut state = bootstrapped();
    for id in 4..=5 {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("a new node");
    }
    state
}

fn group(state: &State) -> &Group {
    &state.topology().expect("initialized").groups[&GroupId(1)]
}

fn on(state: &State, node: u64) -> Replica {
    *group(state).replica_on(NodeId(node)).expect("a replica there")
}

fn roles(state: &State) -> Vec<(u64, Role)> {
    let mut roles: Vec<_> = group(state).replicas.iter().map(|r| (r.node.0, r.role)).collect();
    roles.sort_by_key(|(node, _)| *node);
    roles
}

fn join(state: &State, node: u64, leaving: Option<u64>) -> Join {
    Join {
        group: GroupId(1),
        changed: group(state).changed,
        node: NodeId(node),
        leaving: leaving.map(|node| on(state, node).id),
        kind: OperationKind::Rebalance,
        cause: "uneven".into(),
        bytes: 7,
        now_ms: 1_000,
    }
}

fn apply(state: &mut State, command: ReplicaCommand) -> Result<(), Refusal> {
    let epoch = state.epoch();
    match state.apply(Command::Replicas(command)) {
        CommandResult::Changed { epoch: now } if now >= epoch => Ok(()),
        CommandResult::Refused(refusal) => Err(refusal),
        other => panic!("not an answer to a step: {other:?}"),
    }
}

fn step(state: &mut State, step: fn(GroupId, Epoch, ReplicaId) -> ReplicaCommand, node: u64) {
    let (changed, replica) = (group(state).changed, on(state, node).id);
    assert_eq!(apply(state, step(GroupId(1), changed, replica)), Ok(()));
}

fn promote(group: GroupId, changed: Epoch, joining: ReplicaId) -> ReplicaCommand {
    ReplicaCommand::Promote { group, changed, joining }
}

fn leave(group: GroupId, changed: Epoch, replica: ReplicaId) -> ReplicaCommand {
    ReplicaCommand::Leave { group, changed, replica }
}

fn out(group: GroupId, changed: Epoch, replica: ReplicaId) -> ReplicaCommand {
    ReplicaCommand::Drop { group, changed, replica }
}

#[test]
fn a_replica_moves_in_three_steps_and_its_old_node_is_to_destroy_it() {
    let mut state = grown();
    let (left, before) = (on(&state, 1).id, group(&state).changed);
    let request = join(&state, 4, Some(1));
    assert_eq!(apply(&mut state, ReplicaCommand::Join(request)), Ok(()));
    assert!(group(&state).changed > before && !group(&state).is_founding());
    assert_eq!(on(&state, 4), Replica { id: ReplicaId(37), node: NodeId(4), role: Role::Learner });
    let one = *state.moves().next().expect("a move").1;
    assert_eq!((one.joining, one.leaving, one.bytes), (ReplicaId(37), Some(left), 7));

    step(&mut state, promote, 4);
    let voters = [(1, Role::Leaving), (2, Role::Voter), (3, Role::Voter), (4, Role::Voter)];
    assert_eq!(roles(&state), voters);
    assert_eq!(group(&state).preferred_leader, NodeId(4), "in the place of node 1");

    let last = group(&state).changed;
    step(&mut state, out, 1);
    assert_eq!(roles(&state), [(2, Role::Voter), (3, Role::Voter), (4, Role::Voter)]);
    assert_eq!(group(&state).changed, last, "the members in force stay the same");
    let (removed, entry) = state.removed().next().expect("not destroyed yet");
    assert_eq!((removed, entry.group, entry.node), (left, GroupId(1), NodeId(1)));
    assert_eq!(entry.dropped, state.epoch());
    assert_eq!(state.moves().count(), 0);
    let operations = state.operations();
    let operation = operations.last().expect("an operation");
    assert_eq!((operation.done_steps, operation.total_steps), (1, 1));
    assert_eq!((operation.done_bytes, operation.total_bytes), (7, 7));

    let request = join(&state, 1, Some(2));
    let problem = apply(&mut state, ReplicaCommand::Join(request)).unwrap_err();
    assert!(problem.to_string().contains("node 1 already has a replica of group 1"));
    apply(&mut state, ReplicaCommand::Destroyed { replicas: vec![left] }).expect("known");
    let request = join(&state, 1, Some(2));
    assert_eq!(apply(&mut state, ReplicaCommand::Join(request)), Ok(()));
    assert_eq!(on(&state, 1).id, ReplicaId(38), "an id is never used again");
}

#[test]
fn a_join_that_is_taken_back_is_no_step_done() {
    let mut state = grown();
    let request = join(&state, 4, Some(1));
    apply(&mut state, ReplicaCommand::Join(request)).expect("valid");
    step(&mut state, leave, 4);
    step(&mut state, out, 4);
    assert_eq!(roles(&state), [(1, Role::Voter), (2, Role::Voter), (3, Role::Voter)]);
    assert_eq!(state.removed().map(|(id, _)| id).collect::<Vec<_>>(), [ReplicaId(37)]);
    assert_eq!(state.moves().count(), 0);
    let operations = state.operations();
    let operation = operations.last().expect("an operation");
    assert_eq!((operation.done_steps, operation.total_bytes), (0, 0));
}

#[test]
fn a_promotion_that_the_leader_could_not_make_is_taken_back() {
    let mut state = grown();
    let request = join(&state, 4, Some(1));
    apply(&mut state, ReplicaCommand::Join(request)).expect("valid");
    step(&mut state, promote, 4);
    step(&mut state, leave, 4);
    let taken_back = [1, 2, 3].map(|node| (node, Role::Voter));
    assert_eq!(roles(&state)[..3], taken_back);
    assert_eq!(on(&state, 4).role, Role::Leaving);
    assert_eq!(group(&state).preferred_leader, NodeId(1));
    step(&mut state, out, 4);
    assert_eq!(roles(&state), taken_back);
    let operations = state.operations();
    let operation = operations.last().expect("an operation");
    let counted = (operation.done_steps, operation.done_bytes, operation.total_bytes);
    assert_eq!(counted, (0, 0, 0));
}

#[test]
fn the_only_voter_leaves_in_a_step_of_its_own() {
    let mut state = grown();
    let cluster = state.cluster.as_mut().expect("initialized");
    cluster.topology.settings.replication_factor = 1;
    let only = cluster.topology.groups.get_mut(&GroupId(1)).expect("the first group");
    only.replicas.truncate(1);
    only.preferred_leader = only.replicas[0].node;
    let first = only.replicas[0].node.0;
    let request = join(&state, 4, Some(first));
    apply(&mut state, ReplicaCommand::Join(request)).expect("valid");
    step(&mut state, promote, 4);
    assert_eq!(roles(&state), [(first, Role::Voter), (4, Role::Voter)]);
    let request = join(&state, 5, None);
    assert_eq!(apply(&mut state, ReplicaCommand::Join(request)), Err(Refusal::Stale));
    step(&mut state, leave, first);
    assert_eq!(group(&state).preferred_leader, NodeId(4));
    step(&mut state, out, first);
    assert_eq!(roles(&state), [(4, Role::Voter)]);
    assert_eq!(state.moves().count(), 0);
}

#[test]
fn steps_of_an_older_change_and_a_second_change_are_stale() {
    let mut state = grown();
    let (old, request) = (group(&state).changed, join(&state, 4, Some(1)));
    apply(&mut state, ReplicaCommand::Join(request.clone())).expect("valid");
    let joining = on(&state, 4).id;
    let again = Join { changed: group(&state).changed, node: NodeId(5), ..request.clone() };
    let before = state.clone();
    let (now, id) = (group(&state).changed, GroupId(1));
    for stale in [
        ReplicaCommand::Join(request),
        ReplicaCommand::Join(again),
        promote(id, old, joining),
        promote(id, now, on(&state, 1).id),
        leave(id, now, on(&state, 2).id),
        out(id, now, joining),
        out(id, now, ReplicaId(99)),
    ] {
        assert_eq!(apply(&mut state, stale.clone()), Err(Refusal::Stale), "{stale:?}");
        assert_eq!(state, before);
    }
}

#[test]
fn a_join_without_a_place_is_refused_with_the_reason() {
    let mut state = grown();
    state.apply(Command::Operation(OperationCommand::DrainNode { node: NodeId(5), now_ms: 0 }));
    let before = state.clone();
    let valid = join(&state, 4, Some(1));
    for (reason, broken) in [
        ("node 2 already has a replica", Join { node: NodeId(2), ..valid.clone() }),
        ("node 5 for group 1 is not active", Join { node: NodeId(5), ..valid.clone() }),
        ("node 9 for group 1 is not active", Join { node: NodeId(9), ..valid.clone() }),
        ("replica 99 is not a voter", Join { leaving: Some(ReplicaId(99)), ..valid.clone() }),
        ("already has 3 voters", Join { leaving: None, ..valid.clone() }),
    ] {
        let problem = apply(&mut state, ReplicaCommand::Join(broken)).unwrap_err().to_string();
        assert!(problem.contains(reason), "{problem} / {reason}");
        assert_eq!(state, before);
    }
    let undrained = Join { kind: OperationKind::NodeDrain { node: NodeId(1) }, ..valid };
    assert_eq!(apply(&mut state, ReplicaCommand::Join(undrained)), Err(Refusal::Stale));
}

#[test]
fn a_voter_that_the_group_needs_does_not_leave() {
    let mut state = grown();
    let (changed, voter) = (group(&state).changed, on(&state, 1).id);
    assert_eq!(apply(&mut state, leave(GroupId(1), changed, voter)), Err(Refusal::Stale));
}

#[test]
fn only_an_active_voter_is_preferred_as_leader() {
    let mut state = grown();
    let (before, changed) = (state.epoch(), group(&state).changed);
    let prefer = |node| ReplicaCommand::PreferLeader { group: GroupId(1), node: NodeId(node) };
    let now = group(&state).preferred_leader.0;
    assert_eq!(apply(&mut state, prefer(now)), Ok(()));
    assert_eq!(state.epoch(), before, "nothing changes");
    let other = now % 3 + 1;
    assert_eq!(apply(&mut state, prefer(other)), Ok(()));
    assert_eq!(group(&state).preferred_leader, NodeId(other));
    assert_eq!((state.epoch().0, group(&state).changed), (before.0 + 1, changed));
    assert_eq!(apply(&mut state, prefer(4)), Err(Refusal::Stale), "it has no replica");
    let drain = OperationCommand::DrainNode { node: NodeId(now), now_ms: 0 };
    state.apply(Command::Operation(drain));
    assert_eq!(apply(&mut state, prefer(now)), Err(Refusal::Stale), "it drains");
}

/// Any command about group 1: its kind, two nodes, and whether it has the right guard.
type Step = (u8, u64, u64, bool);

fn any_step() -> impl Strategy<Value = Step> {
    (0u8..9, 1u64..6, 1u64..6, prop::bool::weighted(0.9))
}

fn take(state: &mut State, (kind, node, other, guarded): Step) {
    let id = GroupId(1);
    let changed = if guarded { group(state).changed } else { Epoch(1) };
    let replica = group(state).replica_on(NodeId(node)).map_or(ReplicaId(99), |one| one.id);
    let command = match kind {
        0 | 1 => {
            let leaving = group(state).replica_on(NodeId(other)).map(|one| one.id);
            let request = Join { node: NodeId(node), changed, leaving, ..join(state, 4, None) };
            Command::Replicas(ReplicaCommand::Join(request))
        }
        2 => Command::Replicas(promote(id, changed, replica)),
        3 => Command::Replicas(leave(id, changed, replica)),
        4 => Command::Replicas(out(id, changed, replica)),
        5 => {
            let replicas = state.removed().map(|(id, _)| id).take(1).collect();
            Command::Replicas(ReplicaCommand::Destroyed { replicas })
        }
        6 => Command::Replicas(ReplicaCommand::PreferLeader { group: id, node: NodeId(node) }),
        7 => Command::Operation(OperationCommand::DrainNode { node: NodeId(node), now_ms: 1 }),
        _ => Command::Operation(OperationCommand::UndrainNode { node: NodeId(node), now_ms: 1 }),
    };
    let before = state.clone();
    if let CommandResult::Refused(_) = state.apply(command) {
        assert_eq!(*state, before, "a refused command changes nothing");
    }
}

proptest! {
    #[test]
    fn any_commands_keep_the_invariants(steps in prop::collection::vec(any_step(), 0..60)) {
        let mut state = grown();
        let (mut seen, mut present) = (36, 0);
        for step in steps {
            take(&mut state, step);
            let replicas = &group(&state).replicas;
            let count = |role| replicas.iter().filter(|one| one.role == role).count();
            prop_assert!(count(Role::Voter) == 3);
            prop_assert!(count(Role::Learner) + count(Role::Leaving) <= 1);
            let nodes: BTreeSet<NodeId> = replicas.iter().map(|one| one.node).collect();
            prop_assert_eq!(nodes.len(), replicas.len());
            prop_assert!(!state.removed().any(|(_, one)| nodes.contains(&one.node)), "two on a node");
            prop_assert!(replicas.is_sorted_by_key(|one| one.id));
            let joined = replicas.iter().map(|one| one.id.0).filter(|id| *id > 36).max();
            let joined = joined.unwrap_or_default();
            prop_assert!(joined <= present || joined > seen, "an id was used twice");
            (seen, present) = (seen.max(joined), joined);
            let preferred = group(&state).preferred_leader;
            prop_assert!(group(&state).voters().any(|voter| voter.node == preferred));
        }
    }
}
