use ringkv_topology::{Epoch, NodeId, NodeSecret, ReadMode, SlotCount};

use super::*;
use crate::command::{CommandResult, Refusal, Registration};

fn wanted() -> Wanted {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    };
    Wanted { cluster: ClusterId(9), settings, bootstrap_when: BootstrapWhen::default() }
}

const NOW: Now = Now { observed_ms: 20_000, wall_ms: 7 };

/// Observations in which these nodes are alive.
fn nodes(ids: impl IntoIterator<Item = u64>) -> Observations {
    let mut observations = Observations::default();
    observations.leads(0);
    ids.into_iter().for_each(|id| observations.heard(NOW.observed_ms, NodeId(id)));
    observations
}

fn with_nodes(count: u64) -> State {
    let mut state = State::default();
    for step in plan(&state, &nodes([]), &wanted(), NOW).steps {
        assert_eq!(state.apply(step), CommandResult::Initialized);
    }
    for id in 1..=count {
        let registration = Registration {
            claim: None,
            address: format!("n{id}:1"),
            zone: String::new(),
            capacity: 100,
            incarnation: id,
            starts: 1,
            directory: None,
        };
        let secret = NodeSecret::new([1; 16]);
        state.apply(Command::Register { registration, secret, displaces: Vec::new() });
    }
    state
}

#[test]
fn an_empty_state_is_initialized_first() {
    let plan = plan(&State::default(), &nodes([]), &wanted(), NOW);
    assert!(matches!(plan.steps[..], [Command::Init { cluster: ClusterId(9), .. }]));
}

#[test]
fn a_cluster_is_bootstrapped_once_enough_nodes_are_alive_and_then_left_as_it_is() {
    let mut state = with_nodes(3);
    let waiting = plan(&state, &nodes([1, 3]), &wanted(), NOW);
    assert_eq!(waiting.steps, []);
    assert_eq!(waiting.blocked[0].reason, "2 of 3 nodes are registered and alive");
    let ready = plan(&state, &nodes(1..=3), &wanted(), NOW);
    for step in ready.steps {
        assert_eq!(state.apply(step), CommandResult::Bootstrapped { epoch: Epoch(5) });
    }
    assert_eq!(plan(&state, &nodes(1..=3), &wanted(), NOW), Plan::default());
    assert_eq!(plan(&state, &nodes([]), &wanted(), NOW), Plan::default());
}

#[test]
fn only_nodes_that_are_alive_get_replicas() {
    let mut state = with_nodes(4);
    for step in plan(&state, &nodes([1, 2, 4]), &wanted(), NOW).steps {
        state.apply(step);
    }
    let topology = state.topology().expect("initialized");
    let mut held = topology.groups.values().flat_map(|group| group.replicas.iter());
    assert!(held.all(|replica| replica.node != NodeId(3)));
}

#[test]
fn a_step_planned_twice_takes_effect_once() {
    let mut state = with_nodes(3);
    let first = plan(&state, &nodes(1..=3), &wanted(), NOW);
    let again = plan(&state, &nodes(1..=3), &wanted(), NOW);
    assert_eq!(first, again);
    for step in first.steps {
        state.apply(step);
    }
    for step in again.steps {
        assert_eq!(state.apply(step), CommandResult::Refused(Refusal::Stale));
    }
}

#[test]
fn the_settings_in_the_state_count_and_not_those_of_the_flags() {
    let mut state = with_nodes(3);
    let mut other = wanted();
    other.settings.replication_factor = 1;
    for step in plan(&state, &nodes(1..=3), &other, NOW).steps {
        state.apply(step);
    }
    let topology = state.topology().expect("initialized");
    assert!(topology.is_bootstrapped());
    assert!(topology.groups.values().all(|group| group.replicas.len() == 3));
}
