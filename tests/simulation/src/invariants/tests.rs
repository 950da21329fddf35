use ringkv_consensus::{
    CommandBatch, Committed, Entry, EntryKind, EntryTimes, GroupWrite, LogBatch, Members,
    StoredGroup,
};
use ringkv_topology::ReplicaId;

use super::*;
use crate::process::Found;

const GROUP: GroupId = GroupId(1);

fn members() -> Members {
    Members::of_voters((1..=3).map(|id| (ReplicaId(id), NodeId(id))))
}

fn genesis(replica: ReplicaId) -> Genesis {
    Genesis { group: GROUP, replica, members: members(), context: Bytes::new() }
}

/// A group of three replicas on nodes 1 to 3, set up durably everywhere.
fn three() -> Invariants {
    let mut seen = Invariants::default();
    (1..=3).for_each(|node| create(&mut seen, node));
    seen
}

fn create(seen: &mut Invariants, node: u64) {
    let create = Some(genesis(ReplicaId(node)));
    let write = GroupWrite { create, reset: Some(Genesis::POSITION), ..GroupWrite::default() };
    durable(seen, node, write).expect("a new group");
}

fn durable(seen: &mut Invariants, node: u64, write: GroupWrite) -> Result<(), Broken> {
    let batch = LogBatch { number: 1, groups: vec![(GROUP, write)], sync: true };
    seen.on_durable(NodeId(node), &batch)
}

fn entry(index: u64, term: u64, data: &'static [u8]) -> GroupWrite {
    let data = Bytes::from_static(data);
    let entry = Entry { position: LogPosition::new(term, index), kind: EntryKind::Commands, data };
    GroupWrite { append: vec![entry], ..GroupWrite::default() }
}

fn state(term: u64, vote: u64, commit: u64) -> GroupWrite {
    let hard_state = Some(HardState { term: Term(term), vote, commit: LogIndex(commit) });
    GroupWrite { hard_state, ..GroupWrite::default() }
}

/// Node `node` reports this term, and the ends of its log and its commit index.
fn says(node: u64, role: Role, term: u64, last: u64, commit: u64) -> GroupStatus {
    GroupStatus {
        group: GROUP,
        replica: ReplicaId(node),
        role,
        term: Term(term),
        leader: None,
        commit_index: LogIndex(commit),
        applied_index: LogIndex(commit.min(1)),
        first_index: LogIndex(2),
        last_index: LogIndex(last),
        members: std::sync::Arc::new(members()),
        peers: Vec::new(),
    }
}

fn status(seen: &mut Invariants, status: &GroupStatus) -> Result<(), Broken> {
    seen.on_status(NodeId(status.replica.0), std::slice::from_ref(status))
}

fn batch(index: u64, command: &'static [u8]) -> GroupBatch {
    let commands = Some(CommandBatch::new(0, [Bytes::from_static(command)].iter()));
    let entries = vec![Committed {
        index: LogIndex(index),
        commands,
        tickets: Vec::new(),
        times: EntryTimes::default(),
    }];
    GroupBatch { group: GROUP, entries, after: Default::default() }
}

fn broken<T: std::fmt::Debug>(result: Result<T, Broken>, words: &str) {
    let what = result.expect_err("a broken promise");
    assert!(what.contains(words), "{what}");
}

#[test]
fn two_leaders_of_one_term_are_found() {
    let mut seen = three();
    status(&mut seen, &says(1, Role::Leader, 2, 1, 1)).expect("the first");
    status(&mut seen, &says(2, Role::Leader, 3, 1, 1)).expect("of another term");
    broken(status(&mut seen, &says(3, Role::Leader, 2, 1, 1)), "both lead in term 2");
}

#[test]
fn an_index_is_committed_only_by_a_durable_majority_for_one_entry() {
    let mut seen = three();
    durable(&mut seen, 1, entry(2, 2, b"a")).expect("new");
    let commits = says(1, Role::Leader, 2, 2, 2);
    broken(status(&mut seen, &commits), "no majority");
    let mut seen = three();
    durable(&mut seen, 1, entry(2, 2, b"a")).expect("new");
    durable(&mut seen, 2, entry(2, 3, b"b")).expect("new");
    broken(status(&mut seen, &commits), "no majority");
    let mut seen = three();
    durable(&mut seen, 1, entry(2, 2, b"a")).expect("new");
    durable(&mut seen, 2, entry(2, 2, b"a")).expect("new");
    status(&mut seen, &commits).expect("two of three hold it");
}

#[test]
fn both_halves_of_a_joint_configuration_must_hold_what_is_committed() {
    let joint = || {
        let mut seen = three();
        create(&mut seen, 4);
        let mut joint = members();
        joint.outgoing = joint.voters.clone();
        joint.voters = vec![ReplicaId(1), ReplicaId(4), ReplicaId(5)];
        joint.nodes.extend([(ReplicaId(4), NodeId(4)), (ReplicaId(5), NodeId(5))]);
        seen.replicas.get_mut(&(GROUP, NodeId(1))).expect("set up").members = joint;
        seen
    };
    let commits = says(1, Role::Leader, 2, 2, 2);
    for (nodes, half) in [([1, 2], "new"), ([1, 4], "old")] {
        let mut seen = joint();
        for node in nodes {
            durable(&mut seen, node, entry(2, 2, b"a")).expect("an entry");
        }
        let what = status(&mut seen, &commits).expect_err(half);
        assert!(what.contains("no majority"), "{what}");
    }
    let mut seen = joint();
    for node in [1, 2, 4] {
        durable(&mut seen, node, entry(2, 2, b"a")).expect("an entry");
    }
    status(&mut seen, &commits).expect("two of each three hold it");
}

#[test]
fn other_members_at_an_index_are_found() {
    let mut seen = three();
    for node in [1, 2] {
        durable(&mut seen, node, entry(2, 2, b"a")).expect("new");
    }
    status(&mut seen, &says(1, Role::Leader, 2, 2, 2)).expect("committed");
    let with = |members| {
        let mut batch = batch(2, b"x");
        batch.after.members = members;
        batch.after.position.index = LogIndex(2);
        batch
    };
    seen.on_apply(NodeId(1), &with(members())).expect("the first");
    let other = Members::of_voters([(ReplicaId(1), NodeId(1))]);
    broken(seen.on_apply(NodeId(2), &with(other)), "other members at index 2");
}

#[test]
fn a_leader_without_a_committed_entry_and_its_removal_are_found() {
    let mut seen = three();
    for node in [1, 2] {
        durable(&mut seen, node, entry(2, 2, b"a")).expect("new");
    }
    status(&mut seen, &says(1, Role::Leader, 2, 2, 2)).expect("committed");
    status(&mut seen, &says(3, Role::Leader, 1, 1, 1)).expect("of an older term");
    broken(status(&mut seen, &says(3, Role::Leader, 3, 1, 1)), "2 is committed");
    let cut = GroupWrite { truncate_from: Some(LogIndex(2)), ..GroupWrite::default() };
    durable(&mut seen, 3, cut.clone()).expect("node 3 never had it");
    broken(durable(&mut seen, 2, cut), "removes committed entry 2");
}

#[test]
fn logs_that_do_not_match_are_found() {
    let mut seen = three();
    durable(&mut seen, 1, entry(2, 2, b"a")).expect("new");
    broken(durable(&mut seen, 2, entry(2, 2, b"b")), "logs do not match");
    let mut seen = three();
    for (node, term) in [(1, 2), (2, 3)] {
        durable(&mut seen, node, entry(2, term, b"a")).expect("new");
    }
    durable(&mut seen, 1, entry(3, 4, b"c")).expect("new");
    broken(durable(&mut seen, 2, entry(3, 4, b"c")), "logs do not match");
}

#[test]
fn what_may_not_fall_does_not() {
    let mut seen = three();
    durable(&mut seen, 1, state(3, 1, 1)).expect("rises");
    broken(durable(&mut seen, 1, state(2, 1, 1)), "term fell");
    broken(durable(&mut seen, 1, state(3, 2, 1)), "vote in term 3 changed");
    durable(&mut seen, 1, state(4, 2, 1)).expect("a new term, a new vote");
    broken(durable(&mut seen, 1, state(4, 2, 0)), "commit fell");
    status(&mut seen, &says(1, Role::Follower, 5, 1, 1)).expect("rises");
    broken(status(&mut seen, &says(1, Role::Follower, 4, 1, 1)), "term fell");
}

#[test]
fn a_replica_keeps_its_state_in_a_restart_and_another_one_has_its_own() {
    let stored = |replica, term| StoredGroup {
        genesis: genesis(ReplicaId(replica)),
        hard_state: HardState { term: Term(term), vote: 0, commit: LogIndex(1) },
        start: Genesis::POSITION,
        last_index: Genesis::POSITION.index,
        runs: vec![Genesis::POSITION],
        install: None,
    };
    let mut seen = three();
    durable(&mut seen, 1, state(3, 1, 1)).expect("rises");
    let mut restart = |stored: Option<StoredGroup>, tombstones: &[_]| {
        let stored = Vec::from_iter(stored);
        let tombstones = tombstones.iter().map(|id| (GROUP, ReplicaId(*id))).collect();
        seen.on_restart(NodeId(1), &Found { stored, tombstones, applied: BTreeMap::new() })
    };
    broken(restart(Some(stored(1, 2)), &[]), "term fell from 3 to 2");
    restart(Some(stored(4, 2)), &[]).expect("the batch that destroyed replica 1 survived");
    broken(restart(Some(stored(4, 1)), &[]), "term fell from 2 to 1");
    restart(None, &[4]).expect("destroyed");
    restart(Some(stored(5, 2)), &[]).expect("the next one");
    broken(restart(None, &[4]), "a restart lost replica 5");
}

#[test]
fn replicas_apply_the_same_entries_in_order_with_the_same_results() {
    let mut seen = three();
    for node in [1, 2, 3] {
        durable(&mut seen, node, entry(2, 2, b"a")).expect("new");
    }
    broken(seen.on_apply(NodeId(1), &batch(2, b"x")), "committed with term None");
    status(&mut seen, &says(1, Role::Leader, 2, 2, 2)).expect("committed");
    seen.replicas.get_mut(&(GROUP, NodeId(1))).expect("set up").handed_over = LogIndex(1);
    broken(seen.on_apply(NodeId(3), &batch(3, b"x")), "index 3 is applied after 1");
    seen.on_apply(NodeId(1), &batch(2, b"x")).expect("the first");
    broken(seen.on_apply(NodeId(2), &batch(2, b"y")), "applies another entry at 2");
    let result = |bytes| [Bytes::from_static(bytes)];
    seen.on_results(NodeId(1), GROUP, LogIndex(2), &result(b"1")).expect("the first");
    broken(seen.on_results(NodeId(2), GROUP, LogIndex(2), &result(b"2")), "another result");
}
