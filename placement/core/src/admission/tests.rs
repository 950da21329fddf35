use ringkv_topology::NodeSecret;

use super::*;
use crate::command::{Command, CommandResult, Refusal};
use crate::state::tests::{fresh, initialized, register, returning};

mod one_process;

fn silent() -> Observations {
    Observations::default()
}

fn hearing(observations: &Observations, led_ms: u64) -> Hearing<'_> {
    Hearing { observations, now_ms: 100_000, led_ms }
}

/// Node 1 at n1:1, registered by process 11 as its start 1.
fn one_node() -> State {
    let mut state = initialized();
    register(&mut state, fresh("n1:1", 11)).expect("a new node");
    state
}

#[test]
fn a_second_process_waits_while_the_first_is_heard_from() {
    let (state, mut observations) = (one_node(), silent());
    observations.heard(97_500, NodeId(1));
    let second = returning(1, "n2:1", 12);
    let wait = displaced(&state, &second, hearing(&observations, 60_000)).unwrap_err();
    assert_eq!(
        wait.to_string(),
        "node 1 is served by another process at n1:1, heard 3 s ago; one data directory has one \
         process"
    );
    observations = silent();
    observations.heard(95_000, NodeId(1));
    let first = Incarnation { node: NodeId(1), number: 11 };
    assert_eq!(displaced(&state, &second, hearing(&observations, 60_000)), Ok(vec![first]));
}

#[test]
fn a_new_leader_displaces_no_process() {
    let (state, observations) = (one_node(), silent());
    for registration in [returning(1, "n2:1", 12), fresh("n1:1", 12)] {
        let wait = displaced(&state, &registration, hearing(&observations, LISTEN_MS - 1));
        assert!(matches!(wait, Err(Wait::TooEarly { remaining_ms: 1, .. })), "{wait:?}");
        assert!(displaced(&state, &registration, hearing(&observations, LISTEN_MS)).is_ok());
    }
}

#[test]
fn a_new_leader_takes_back_what_displaces_no_process() {
    let (mut state, observations) = (one_node(), silent());
    let at_once = hearing(&observations, 0);
    let same_process = Registration { incarnation: 11, ..returning(1, "n2:1", 11) };
    assert_eq!(displaced(&state, &same_process, at_once), Ok(vec![]));
    assert_eq!(displaced(&state, &fresh("n2:1", 12), at_once), Ok(vec![]), "another address");
    // The state machine refuses it for good: no reason to wait.
    let older = Registration { starts: 1, ..returning(1, "n2:1", 12) };
    assert_eq!(displaced(&state, &older, at_once), Ok(vec![]));
    let there = Registration { directory: Some(5), ..returning(1, "n1:1", 12) };
    state.apply(Command::Register {
        registration: there.clone(),
        secret: NodeSecret::new([0; 16]),
        displaces: vec![Incarnation { node: NodeId(1), number: 11 }],
    });
    let again = Registration { incarnation: 13, starts: 13, ..there };
    assert_eq!(displaced(&state, &again, at_once), Ok(vec![]), "it holds the directory's lock");
    assert_eq!(register(&mut state, again), Ok(NodeId(1)));
}

#[test]
fn the_address_of_a_live_node_is_not_free_to_take() {
    let (state, mut observations) = (one_node(), silent());
    observations.heard(99_000, NodeId(1));
    let wait = displaced(&state, &fresh("n1:1", 12), hearing(&observations, 60_000)).unwrap_err();
    assert!(wait.to_string().starts_with("node 1 at n1:1 is alive, heard 1 s ago"), "{wait}");
    assert_eq!(displaced(&state, &fresh("n1:1", 11), hearing(&observations, 0)), Ok(vec![]));
}

#[test]
fn what_the_leader_did_not_see_is_not_displaced() {
    let (mut state, observations) = (one_node(), silent());
    let copy = returning(1, "n2:1", 12);
    let displaces = displaced(&state, &copy, hearing(&observations, 60_000)).unwrap();
    // The node starts again before the command of the copy is applied.
    assert_eq!(register(&mut state, returning(1, "n1:1", 20)), Err(Refusal::Stale));
    let restarted = Command::Register {
        registration: Registration { starts: 2, ..returning(1, "n1:1", 20) },
        secret: NodeSecret::new([0; 16]),
        displaces: displaces.clone(),
    };
    assert!(matches!(state.apply(restarted), CommandResult::Registered { .. }));
    let late = Command::Register {
        registration: Registration { starts: 3, ..copy },
        secret: NodeSecret::new([0; 16]),
        displaces,
    };
    assert_eq!(state.apply(late), CommandResult::Refused(Refusal::Stale));
}
