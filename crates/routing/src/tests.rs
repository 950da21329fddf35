use std::sync::Arc;

use proptest::prelude::*;
use ringkv_kv_types::Outcome;
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, SlotCount, Topology,
};

use crate::{Attempts, Failure, Next, NotReady, Router};

const KEY: &[u8] = b"key";

/// One group on nodes 1 to 3 (2 preferred), node 4 a learner, node 5 outside.
fn topology(epoch: u64) -> Topology {
    let node = |id| Node {
        id: NodeId(id),
        address: format!("node-{id}:50051"),
        zone: String::new(),
        capacity: 100,
        state: NodeState::Active,
    };
    let replica = |node| Replica {
        id: ReplicaId(10 + node),
        node: NodeId(node),
        role: if node == 4 { Role::Learner } else { Role::Voter },
    };
    let group = Group {
        id: GroupId(1),
        replicas: (1..=4).map(replica).collect(),
        preferred_leader: NodeId(2),
        formed: Epoch(1),
        changed: Epoch(1),
    };
    let slot_count = SlotCount::new(1).unwrap();
    Topology {
        cluster: ClusterId(1),
        epoch: Epoch(epoch),
        settings: Settings {
            slot_count,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        },
        runtime: RuntimeSettings::default(),
        nodes: (1..=5).map(|id| (NodeId(id), node(id))).collect(),
        groups: [(GroupId(1), group)].into(),
        owners: vec![GroupId(1)],
    }
}

fn router() -> Router {
    let mut router = Router::new();
    assert!(router.on_topology(Arc::new(topology(7)), []));
    router
}

fn reply(code: ErrorCode, leader: u64) -> v1::Error {
    v1::Error { leader_node: leader, ..v1::Error::new(code, "") }
}

fn first_node(router: &Router) -> u64 {
    router.route(KEY, &Attempts::read()).unwrap().node.0
}

/// Fails the next attempt; returns the node it went to and what follows.
fn fail(router: &mut Router, attempts: &mut Attempts, failure: &Failure) -> (u64, Next) {
    let route = router.route(KEY, attempts).unwrap();
    let next = attempts.on_error(router, &route, failure);
    (route.node.0, next)
}

#[test]
fn nothing_is_routed_before_the_cluster_has_formed() {
    let mut router = Router::new();
    assert_eq!(router.route(KEY, &Attempts::read()), Err(NotReady::NoTopology));
    router.on_topology(Arc::new(Topology { owners: Vec::new(), ..topology(1) }), []);
    assert_eq!(router.route(KEY, &Attempts::read()), Err(NotReady::NotFormed));
}

#[test]
fn a_learnt_leader_comes_before_a_reported_one_and_that_before_the_preferred() {
    let mut router = router();
    assert_eq!(first_node(&router), 2);
    router.on_topology(Arc::new(topology(7)), [(GroupId(1), NodeId(3))]);
    assert_eq!(first_node(&router), 3);
    let mut attempts = Attempts::read();
    let error = reply(ErrorCode::NotLeader, 1);
    assert_eq!(
        fail(&mut router, &mut attempts, &Failure::Reply(error)),
        (3, Next::RetryAt(NodeId(1)))
    );
    assert_eq!(first_node(&router), 1);
}

#[test]
fn an_older_topology_changes_nothing() {
    let mut router = router();
    assert!(!router.on_topology(Arc::new(topology(6)), [(GroupId(1), NodeId(3))]));
    assert_eq!((router.epoch(), first_node(&router)), (Epoch(7), 2));
}

#[test]
fn a_suspect_node_is_asked_last_until_it_is_connected_again() {
    let mut router = router();
    let (node, next) = fail(&mut router, &mut Attempts::read(), &Failure::NotSent);
    assert_eq!((node, next), (2, Next::RetryAt(NodeId(1))));
    assert_eq!(first_node(&router), 1);
    router.on_connected(NodeId(2));
    assert_eq!(first_node(&router), 2);
}

#[test]
fn nodes_that_name_each_other_as_leader_make_no_loop() {
    let mut router = router();
    let mut attempts = Attempts::write();
    let (to_1, to_2) = (reply(ErrorCode::NotLeader, 1), reply(ErrorCode::NotLeader, 2));
    let mut steps = Vec::new();
    for _ in 0..3 {
        let node = router.route(KEY, &attempts).unwrap().node.0;
        let error = if node == 1 { &to_2 } else { &to_1 };
        steps.push(fail(&mut router, &mut attempts, &Failure::Reply(error.clone())));
    }
    let expected =
        [(2, Next::RetryAt(NodeId(1))), (1, Next::RetryAt(NodeId(3))), (3, Next::Backoff)];
    assert_eq!(steps, expected);
}

#[test]
fn a_learner_and_a_stranger_are_not_asked_unless_named() {
    let mut router = router();
    let mut attempts = Attempts::read();
    let asked: Vec<u64> =
        (0..3).map(|_| fail(&mut router, &mut attempts, &Failure::NotSent).0).collect();
    assert_eq!(asked, [2, 1, 3]);
    let error = reply(ErrorCode::NotLeader, 4);
    let (_, next) = fail(&mut router, &mut attempts, &Failure::Reply(error));
    assert_eq!(next, Next::RetryAt(NodeId(4)));
}

#[test]
fn a_leader_the_topology_lacks_asks_for_a_newer_one() {
    let mut router = router();
    let error = reply(ErrorCode::NotLeader, 99);
    let (_, next) = fail(&mut router, &mut Attempts::read(), &Failure::Reply(error));
    assert_eq!(next, Next::Refresh(Epoch(7)));
}

#[test]
fn a_node_without_the_group_is_not_asked_again_while_others_are_left() {
    let mut router = router();
    let mut attempts = Attempts::read();
    let error = v1::Error { epoch: 8, ..v1::Error::new(ErrorCode::NoGroup, "") };
    let steps: Vec<_> =
        (0..4).map(|_| fail(&mut router, &mut attempts, &Failure::Reply(error.clone()))).collect();
    let refresh = Next::Refresh(Epoch(8));
    assert_eq!(steps, [(2, refresh), (1, refresh), (3, refresh), (2, refresh)]);
}

#[test]
fn a_later_refusal_does_not_settle_a_write_that_may_have_applied() {
    for last in [ErrorCode::NoSpace, ErrorCode::ValueTooLarge, ErrorCode::Invalid] {
        let mut router = router();
        let mut attempts = Attempts::write();
        fail(&mut router, &mut attempts, &Failure::Lost);
        let not_leader = reply(ErrorCode::NotLeader, 0);
        fail(&mut router, &mut attempts, &Failure::Reply(not_leader));
        assert_eq!(attempts.outcome(), Outcome::Unknown);
        let error = reply(last, 0);
        let (_, next) = fail(&mut router, &mut attempts, &Failure::Reply(error));
        assert_eq!(next, Next::GiveUp(Outcome::Unknown), "{last:?}");
    }
}

#[test]
fn the_state_machines_own_refusal_settles_a_write() {
    for last in [ErrorCode::PreconditionFailed, ErrorCode::KeyAbsent] {
        let mut router = router();
        let mut attempts = Attempts::write();
        fail(&mut router, &mut attempts, &Failure::Silent);
        let error = reply(last, 0);
        let (_, next) = fail(&mut router, &mut attempts, &Failure::Reply(error));
        assert_eq!(next, Next::GiveUp(Outcome::NotApplied), "{last:?}");
    }
}

#[test]
fn a_servers_word_that_the_outcome_is_unknown_outranks_its_code() {
    let mut router = router();
    let mut attempts = Attempts::write();
    let error = v1::Error {
        outcome: v1::Outcome::Unknown.into(),
        ..v1::Error::new(ErrorCode::ShuttingDown, "")
    };
    fail(&mut router, &mut attempts, &Failure::Reply(error));
    assert_eq!(attempts.outcome(), Outcome::Unknown);
}

/// What a scripted attempt meets: a code with a hint, or no answer.
#[derive(Clone, Debug)]
enum Met {
    Reply(ErrorCode, u64),
    NotSent,
    Lost,
    Silent,
}

fn met() -> impl Strategy<Value = Met> {
    let code = (0..=15i32).prop_map(|code| ErrorCode::try_from(code).unwrap());
    prop_oneof![
        4 => (code, 0..7u64).prop_map(|(code, hint)| Met::Reply(code, hint)),
        1 => Just(Met::NotSent),
        1 => Just(Met::Lost),
        1 => Just(Met::Silent),
    ]
}

proptest! {
    #[test]
    fn any_run_of_failures_keeps_the_rules(
        write in any::<bool>(),
        script in prop::collection::vec(met(), 1..40),
    ) {
        let mut router = router();
        let mut attempts = if write { Attempts::write() } else { Attempts::read() };
        let (mut may_have_applied, mut asked) = (false, Vec::new());
        for met in script {
            let route = router.route(KEY, &attempts).unwrap();
            prop_assert!(!asked.contains(&route.node), "asked twice without a pause");
            asked.push(route.node);
            let failure = match met {
                Met::Reply(code, hint) => Failure::Reply(reply(code, hint)),
                Met::NotSent => Failure::NotSent,
                Met::Lost => Failure::Lost,
                Met::Silent => Failure::Silent,
            };
            may_have_applied |= match met {
                Met::Reply(code, _) => code.outcome() == Outcome::Unknown,
                Met::NotSent => false,
                Met::Lost | Met::Silent => true,
            };
            match attempts.on_error(&mut router, &route, &failure) {
                Next::RetryAt(node) => {
                    prop_assert_eq!(router.route(KEY, &attempts).unwrap().node, node);
                }
                Next::Refresh(_) | Next::Backoff => asked.clear(),
                Next::GiveUp(outcome) => {
                    let settled = matches!(met, Met::Reply(
                        ErrorCode::PreconditionFailed
                        | ErrorCode::KeyAbsent
                        | ErrorCode::RequestIdReused, _));
                    let open = write && may_have_applied && !settled;
                    prop_assert_eq!(outcome == Outcome::Unknown, open);
                    prop_assert_ne!(outcome, Outcome::Applied);
                    return Ok(());
                }
            }
            prop_assert_eq!(attempts.outcome() == Outcome::Unknown, write && may_have_applied);
        }
    }
}
