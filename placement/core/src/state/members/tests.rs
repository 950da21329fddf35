use super::*;
use crate::command::{Command, CommandResult};
use crate::state::State;

fn peers() -> BTreeMap<Place, String> {
    (1..=3).map(|place| (Place(place), format!("p{place}:7000"))).collect()
}

fn apply(state: &mut State, command: MembersCommand) -> Result<u64, Refusal> {
    match state.apply(Command::Members(command)) {
        CommandResult::ReplicaAdmitted { replica } => Ok(replica.0),
        CommandResult::MembersChanged => Ok(0),
        CommandResult::Refused(refusal) => Err(refusal),
        other => panic!("not an answer to a change of members: {other:?}"),
    }
}

fn admit(state: &mut State, place: u64, token: u64) -> Result<u64, Refusal> {
    let address = format!("p{place}:7000");
    apply(state, MembersCommand::Admit { place: Place(place), address, token })
}

fn promote(state: &mut State, replica: u64) -> Result<u64, Refusal> {
    let seen = state.members().changed;
    apply(state, MembersCommand::Promote { replica: ReplicaId(replica), seen })
}

fn roles(state: &State) -> Vec<(u64, u64, Role)> {
    let all = state.members().replicas.iter();
    all.map(|(id, member)| (id.0, member.place.0, member.role)).collect()
}

fn found(state: &mut State) -> Result<u64, Refusal> {
    let seen = state.members().changed;
    apply(state, MembersCommand::Found { seen })
}

/// Replicas 1, 2 and 3 at their places.
fn founded() -> State {
    let mut state = State::founded(Place(1), &peers());
    for place in 2..=3 {
        assert_eq!(admit(&mut state, place, place), Ok(place));
        promote(&mut state, place).expect("a learner");
    }
    found(&mut state).expect("all places have a voter");
    state
}

#[test]
fn a_founder_takes_the_others_in_before_there_is_a_cluster() {
    let mut state = State::founded(Place(1), &peers());
    assert_eq!(admit(&mut state, 2, 2), Ok(2));
    promote(&mut state, 2).expect("a learner");
    assert_eq!(found(&mut state), Err(Refusal::Stale));
    assert_eq!(admit(&mut state, 3, 3), Ok(3));
    promote(&mut state, 3).expect("a learner");
    assert!(state.members().is_founding(), "not before it is in force");
    found(&mut state).expect("all places have a voter");
    assert!(!state.members().is_founding());
    assert_eq!(state.members().changed, Epoch(4));
}

#[test]
fn a_repeated_request_of_one_run_gets_the_same_id_and_a_later_run_a_new_one() {
    let mut state = founded();
    assert_eq!(admit(&mut state, 2, 77), Ok(4));
    assert_eq!(admit(&mut state, 2, 77), Ok(4));
    assert_eq!(admit(&mut state, 2, 78), Ok(5));
    let leaves = (4, 2, Role::Leaving);
    assert!(roles(&state).contains(&leaves), "{:?}", roles(&state));
}

#[test]
fn the_old_replica_of_a_place_leaves_when_the_new_one_votes() {
    let mut state = founded();
    admit(&mut state, 2, 77).expect("a known place");
    assert_eq!(roles(&state)[1], (2, 2, Role::Voter));
    promote(&mut state, 4).expect("a learner");
    assert_eq!(roles(&state)[1], (2, 2, Role::Leaving));
    assert_eq!(roles(&state)[3], (4, 2, Role::Voter));
    let seen = state.members().changed;
    apply(&mut state, MembersCommand::Forget { replica: ReplicaId(2), seen }).expect("it leaves");
    assert_eq!(roles(&state).len(), 3);
    assert_eq!(admit(&mut state, 2, 99), Ok(5), "no id is used again");
}

#[test]
fn a_step_that_was_planned_before_another_change_is_stale() {
    let mut state = founded();
    admit(&mut state, 2, 77).expect("a known place");
    let seen = state.members().changed;
    admit(&mut state, 3, 78).expect("a known place");
    let stale = MembersCommand::Promote { replica: ReplicaId(4), seen };
    assert_eq!(apply(&mut state, stale), Err(Refusal::Stale));
}

#[test]
fn a_new_place_needs_an_invitation_that_is_used_once() {
    let mut state = founded();
    let refused = admit(&mut state, 4, 4).unwrap_err().to_string();
    assert!(refused.contains("ringkv placement add p4:7000"), "{refused}");
    let invite = MembersCommand::Invite { address: "p4:7000".into() };
    apply(&mut state, invite.clone()).expect("a free address");
    assert_eq!(admit(&mut state, 4, 4), Ok(4));
    assert!(state.members().invited.is_empty());
    let taken = MembersRefusal::AddressTaken { replica: ReplicaId(4) };
    assert_eq!(apply(&mut state, invite), Err(taken.into()));
    let withdrawn = MembersCommand::Uninvite { address: "p5:7000".into() };
    assert!(apply(&mut state, withdrawn.clone()).is_err());
    apply(&mut state, MembersCommand::Invite { address: "p5:7000".into() }).expect("free");
    apply(&mut state, withdrawn).expect("invited");
}

#[test]
fn the_last_voter_cannot_be_removed_and_a_removed_place_is_unknown() {
    let mut state = founded();
    for id in [1, 2] {
        apply(&mut state, MembersCommand::Remove { replica: ReplicaId(id) }).expect("a voter");
    }
    let last = MembersCommand::Remove { replica: ReplicaId(3) };
    let refusal = MembersRefusal::LastReplica { replica: ReplicaId(3) };
    assert_eq!(apply(&mut state, last), Err(refusal.into()));
    assert!(admit(&mut state, 1, 9).is_err());
}

#[test]
fn a_replica_that_moves_keeps_its_id() {
    let mut state = founded();
    let moved = MembersCommand::Relocate { replica: ReplicaId(2), address: "q2:7000".into() };
    apply(&mut state, moved).expect("a member");
    assert_eq!(state.members().address(ReplicaId(2)), Some("q2:7000"));
    assert_eq!(state.members().changed, Epoch(4), "no change of members");
}

#[test]
fn lists_are_bounded() {
    let mut state = founded();
    for at in 0..INVITED_MAX {
        let invite = MembersCommand::Invite { address: format!("q{at}:7000") };
        apply(&mut state, invite).expect("within the bound");
    }
    let over = MembersCommand::Invite { address: "over:7000".into() };
    assert!(matches!(apply(&mut state, over), Err(Refusal::Members(_))));
    let mut token = 100;
    let refused = loop {
        token += 1;
        if let Err(refused) = admit(&mut state, 2, token) {
            break refused;
        }
    };
    let max = PLACEMENT_REPLICAS_MAX;
    assert_eq!(refused, MembersRefusal::TooManyReplicas { max }.into());
}
