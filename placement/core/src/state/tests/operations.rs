//! Operations: requests of operators, ends, and the bounds of the lists.

use super::*;
use crate::command::{Join, OperationCommand, ReplicaCommand};
use crate::operation::{Operation, OperationId, OperationKind, OperationState};
use crate::state::operations::{ENDED_MAX, RUNNING_MAX};

fn operate(state: &mut State, command: OperationCommand) -> Result<Option<OperationId>, Refusal> {
    match state.apply(Command::Operation(command)) {
        CommandResult::Began { operation } => Ok(Some(operation)),
        CommandResult::Changed { .. } => Ok(None),
        CommandResult::Refused(refusal) => Err(refusal),
        other => panic!("not an answer to an operator: {other:?}"),
    }
}

fn drain(node: u64) -> OperationCommand {
    OperationCommand::DrainNode { node: NodeId(node), now_ms: 5 }
}

fn undrain(node: u64) -> OperationCommand {
    OperationCommand::UndrainNode { node: NodeId(node), now_ms: 9 }
}

fn replace(old: u64, new: u64) -> OperationCommand {
    OperationCommand::ReplaceNode { old: NodeId(old), new: NodeId(new), now_ms: 5 }
}

fn forget(node: u64) -> OperationCommand {
    OperationCommand::ForgetNode { node: NodeId(node) }
}

fn end(operation: OperationId) -> OperationCommand {
    OperationCommand::End { operation, now_ms: 8 }
}

fn abort(operation: OperationId) -> OperationCommand {
    OperationCommand::Abort { operation, now_ms: 9 }
}

fn shown(state: &State, id: OperationId) -> Operation {
    let operations = state.operations();
    Operation::clone(operations.iter().find(|one| one.id == id).expect("a known operation"))
}

fn group_1(state: &State) -> &ringkv_topology::Group {
    &state.topology().expect("initialized").groups[&GroupId(1)]
}

fn join_group_1(state: &State, node: u64, leaving: u64, kind: OperationKind) -> Command {
    let group = group_1(state);
    Command::Replicas(ReplicaCommand::Join(Join {
        group: group.id,
        changed: group.changed,
        node: NodeId(node),
        leaving: group.replica_on(NodeId(leaving)).map(|replica| replica.id),
        kind,
        cause: "because".into(),
        bytes: 3,
        now_ms: 1_000,
    }))
}

#[test]
fn the_bootstrap_is_recorded() {
    let state = bootstrapped();
    let [operation] = state.operations()[..] else { panic!("one operation") };
    let done = (&OperationKind::Bootstrap, OperationState::Done);
    assert_eq!((&operation.kind, operation.state), done);
}

#[test]
fn a_drain_is_one_operation_however_often_it_is_requested() {
    let mut state = bootstrapped();
    let id = operate(&mut state, drain(2)).unwrap().expect("an operation");
    assert_eq!(node_state(&state, 2), Some(NodeState::Draining));
    let before = state.clone();
    assert_eq!(operate(&mut state, drain(2)), Ok(Some(id)));
    assert_eq!(state, before);
    let operation = shown(&state, id);
    assert_eq!((operation.total_steps, operation.began_ms, operation.ended_ms), (12, 5, 0));
    assert_eq!(operate(&mut state, undrain(2)), Ok(None));
    assert_eq!(node_state(&state, 2), Some(NodeState::Active));
    let operation = shown(&state, id);
    assert_eq!((operation.state, operation.ended_ms), (OperationState::Aborted, 9));
    let before = state.clone();
    assert_eq!(operate(&mut state, undrain(2)), Ok(None));
    assert_eq!(state, before);
    assert_eq!(operate(&mut state, drain(7)), Err(Refusal::NoSuchNode { node: NodeId(7) }));
}

#[test]
fn a_node_is_replaced_by_one_that_takes_replicas() {
    let mut state = bootstrapped();
    for id in 4..=5 {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("a new node");
    }
    operate(&mut state, drain(5)).expect("known");
    let id = operate(&mut state, replace(1, 4)).unwrap().expect("an operation");
    assert_eq!(operate(&mut state, replace(1, 4)), Ok(Some(id)));
    assert_eq!(node_state(&state, 1), Some(NodeState::Draining));
    let before = state.clone();
    for (command, problem) in [
        (replace(2, 2), "cannot replace itself".to_owned()),
        (replace(2, 5), "node 5 is draining".to_owned()),
        (replace(1, 2), format!("operation {id} (replacement of node 1 by node 4) is running")),
        (replace(2, 9), "no node 9".to_owned()),
    ] {
        let refusal = operate(&mut state, command).unwrap_err().to_string();
        assert!(refusal.contains(&problem), "{refusal} / {problem}");
        assert_eq!(state, before);
    }
    assert_eq!(operate(&mut state, abort(id)), Ok(None));
    assert_eq!(node_state(&state, 1), Some(NodeState::Active));
    assert_eq!(shown(&state, id).state, OperationState::Aborted);
}

#[test]
fn an_automatic_operation_begins_with_its_first_step_and_is_not_aborted() {
    let mut state = bootstrapped();
    register(&mut state, fresh("n4:1", 4)).expect("a new node");
    let kind = OperationKind::NodeJoined { node: NodeId(4) };
    let command = join_group_1(&state, 4, 1, kind.clone());
    assert!(matches!(state.apply(command), CommandResult::Changed { .. }));
    let operation = state.operations().last().copied().cloned().expect("an operation");
    assert_eq!((&operation.kind, operation.cause.as_str()), (&kind, "because"));
    assert_eq!(operation.total_steps, 9, "a fourth of 36");
    let refusal = operate(&mut state, abort(operation.id)).unwrap_err().to_string();
    assert!(refusal.contains("began by itself"), "{refusal}");
    assert_eq!(operate(&mut state, end(operation.id)), Err(Refusal::Stale), "a move runs");
}

#[test]
fn an_operation_ends_once_and_counts_what_it_did() {
    let mut state = bootstrapped();
    let id = operate(&mut state, drain(2)).unwrap().expect("an operation");
    assert_eq!(operate(&mut state, end(id)), Ok(None));
    let operation = shown(&state, id);
    assert_eq!((operation.state, operation.ended_ms), (OperationState::Done, 8));
    assert_eq!(operation.total_steps, 0, "nothing was moved");
    let refused = Err(Refusal::NotRunning { operation: id });
    assert_eq!(operate(&mut state, end(id)), refused);
    assert_eq!(operate(&mut state, abort(id)), refused);
}

#[test]
fn the_lists_of_operations_are_bounded() {
    let mut state = initialized();
    for id in 1..=RUNNING_MAX as u64 + 1 {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("a new node");
    }
    for id in 1..=RUNNING_MAX as u64 {
        operate(&mut state, drain(id)).expect("room for it");
    }
    let refusal = operate(&mut state, drain(RUNNING_MAX as u64 + 1)).unwrap_err().to_string();
    assert!(refusal.contains("256 operations are running"), "{refusal}");
    for value in 0..=ENDED_MAX {
        let (name, value) = ("replace-after".to_owned(), format!("{}", 100 + value));
        let command = OperationCommand::SetSetting { name, value, now_ms: 1 };
        operate(&mut state, command).expect("a valid setting");
    }
    let operations = state.operations();
    assert_eq!(operations.len(), RUNNING_MAX + ENDED_MAX);
    let first = operations[RUNNING_MAX];
    assert_eq!(first.kind.to_string(), "setting replace-after = 101", "an older one is gone");
    assert_eq!(state.topology().unwrap().runtime.replace_after_s, 300);
}

#[test]
fn a_setting_changes_the_topology_and_a_bad_one_nothing() {
    let mut state = initialized();
    let set = |name: &str, value: &str| OperationCommand::SetSetting {
        name: name.into(),
        value: value.into(),
        now_ms: 1,
    };
    operate(&mut state, set("replace-after", "1m")).expect("valid");
    assert_eq!(state.topology().unwrap().runtime.replace_after_s, 60);
    assert_eq!(state.epoch(), Epoch(2));
    let before = state.clone();
    let refusal = operate(&mut state, set("replace-after", "1s")).unwrap_err();
    assert!(matches!(refusal, Refusal::InvalidSetting(_)), "{refusal}");
    assert_eq!(state, before);
}

#[test]
fn a_node_is_forgotten_when_it_holds_nothing_and_will_not_return() {
    let mut state = bootstrapped();
    for id in 4..=5 {
        register(&mut state, fresh(&format!("n{id}:1"), id)).expect("a new node");
    }
    let refused = |state: &mut State, node| operate(state, forget(node)).unwrap_err().to_string();
    assert!(refused(&mut state, 1).contains("node 1 holds 12 replicas"));
    assert!(refused(&mut state, 4).contains("node 4 is not drained"));
    assert!(refused(&mut state, 9).contains("no node 9"));
    operate(&mut state, drain(4)).expect("known");
    let epoch = state.epoch();
    assert_eq!(operate(&mut state, forget(4)), Ok(None));
    assert_eq!((node_state(&state, 4), state.epoch().0), (None, epoch.0 + 1));
    let refused = register(&mut state, returning(4, "n4:1", 44));
    assert_eq!(refused, Err(Refusal::NodeRemoved { node: NodeId(4) }));
    take_over(&mut state, returning(5, "n3:1", 55)).expect("it has moved");
    assert_eq!(operate(&mut state, forget(5)), Ok(None), "another node has its address");
}

#[test]
fn what_a_forgotten_node_had_to_destroy_is_forgotten_with_it() {
    let mut state = bootstrapped();
    register(&mut state, fresh("n4:1", 4)).expect("a new node");
    let command = join_group_1(&state, 4, 1, OperationKind::Rebalance);
    state.apply(command);
    let (group, changed) = (group_1(&state).id, group_1(&state).changed);
    let replica = group_1(&state).replica_on(NodeId(4)).expect("it joined").id;
    state.apply(Command::Replicas(ReplicaCommand::Leave { group, changed, replica }));
    let changed = group_1(&state).changed;
    state.apply(Command::Replicas(ReplicaCommand::Drop { group, changed, replica }));
    assert_eq!(state.removed().count(), 1);
    operate(&mut state, drain(4)).expect("known");
    assert_eq!(operate(&mut state, forget(4)), Ok(None));
    assert_eq!(state.removed().count(), 0);
}
