//! Between our own types and raft-rs's: the only place that knows both.
//!
//! rust-protobuf never parses bytes from the network or the disk here: entries and messages are
//! built field by field from our own codec. The one protobuf encoding is of a membership change
//! proposed on this node, which raft-rs itself reads back before it is appended; in the log and on
//! the wire the change is ours.

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{self, ConfChangeTransition, ConfChangeType, ConfState, EntryType};
use ringkv_topology::ReplicaId;

use crate::log_store::{Entry, EntryKind, HardState};
use crate::machine::AppliedState;
use crate::members::{Members, MembersChange};
use crate::position::{LogIndex, LogPosition, Term};

/// An entry as raft-rs holds it. A change of members travels in its context.
pub(crate) fn to_raft(entry: &Entry) -> eraftpb::Entry {
    let mut out = eraftpb::Entry {
        index: entry.position.index.0,
        term: entry.position.term.0,
        ..Default::default()
    };
    match entry.kind {
        EntryKind::Empty => {}
        EntryKind::Commands => out.data = entry.data.clone(),
        EntryKind::Members => {
            out.set_entry_type(EntryType::EntryConfChangeV2);
            out.context = entry.data.clone();
        }
    }
    out
}

/// The reverse of [`to_raft`]; the protobuf of a change is left behind.
pub(crate) fn from_raft(entry: &eraftpb::Entry) -> Entry {
    let (kind, data) = match entry.get_entry_type() {
        EntryType::EntryNormal if entry.data.is_empty() => (EntryKind::Empty, Bytes::new()),
        EntryType::EntryNormal => (EntryKind::Commands, entry.data.clone()),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
            (EntryKind::Members, entry.context.clone())
        }
    };
    Entry { position: LogPosition::new(entry.term, entry.index), kind, data }
}

pub(crate) fn hard_state_to_raft(state: &HardState) -> eraftpb::HardState {
    eraftpb::HardState {
        term: state.term.0,
        vote: state.vote,
        commit: state.commit.0,
        ..eraftpb::HardState::default()
    }
}

pub(crate) fn hard_state_from_raft(state: &eraftpb::HardState) -> HardState {
    HardState { term: Term(state.term), vote: state.vote, commit: LogIndex(state.commit) }
}

pub(crate) fn conf_state(members: &Members) -> ConfState {
    let ids = |list: &[ReplicaId]| list.iter().map(|id| id.0).collect::<Vec<_>>();
    let mut out = ConfState::default();
    out.set_voters(ids(&members.voters));
    out.set_learners(ids(&members.learners));
    out.set_voters_outgoing(ids(&members.outgoing));
    out.set_learners_next(ids(&members.learners_next));
    out.auto_leave = members.auto_leave;
    out
}

/// The description of a snapshot that raft-rs sees; its files travel apart.
pub(crate) fn snapshot(applied: &AppliedState) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = applied.position.index.0;
    metadata.term = applied.position.term.0;
    metadata.set_conf_state(conf_state(&applied.members));
    snapshot
}

/// The change that raft-rs makes; the empty change leaves a joint configuration. Several changes at
/// once make one, which raft-rs does not leave by itself: it would propose that even where this
/// replica is on its way out, and forget it with the leader that entered.
pub(crate) fn conf_change(change: &MembersChange) -> eraftpb::ConfChangeV2 {
    let single = |kind, id: ReplicaId| {
        let mut single = eraftpb::ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id.0;
        single
    };
    let changes: Vec<_> = (change.add_voters.iter())
        .map(|(id, _)| single(ConfChangeType::AddNode, *id))
        .chain(
            (change.add_learners.iter()).map(|(id, _)| single(ConfChangeType::AddLearnerNode, *id)),
        )
        .chain(change.remove.iter().map(|id| single(ConfChangeType::RemoveNode, *id)))
        .collect();
    let mut out = eraftpb::ConfChangeV2::default();
    if changes.len() > 1 {
        out.set_transition(ConfChangeTransition::Explicit);
    }
    out.set_changes(changes.into());
    out
}

/// A proposal of a membership change, readable by raft-rs (data) and by us (context).
pub(crate) fn members_proposal(change: &MembersChange) -> eraftpb::Entry {
    let mut entry = eraftpb::Entry::default();
    entry.set_entry_type(EntryType::EntryConfChangeV2);
    let data = conf_change(change).write_to_bytes().expect("a message of integers encodes");
    entry.data = data.into();
    entry.context = change.encode().into();
    entry
}

/// The members once raft-rs has applied a change and given its own view of the result.
pub(crate) fn members_after(before: &Members, change: &MembersChange, conf: &ConfState) -> Members {
    let ids = |list: &[u64]| list.iter().map(|id| ReplicaId(*id)).collect::<Vec<_>>();
    let mut nodes = before.nodes.clone();
    nodes.extend(change.add_voters.iter().chain(&change.add_learners).copied());
    let mut after = Members {
        voters: ids(conf.get_voters()),
        learners: ids(conf.get_learners()),
        outgoing: ids(conf.get_voters_outgoing()),
        learners_next: ids(conf.get_learners_next()),
        auto_leave: conf.auto_leave,
        nodes,
        epoch: before.epoch.max(change.epoch),
    };
    // raft-rs returns the sets in hash order, which is fixed but not stable between versions.
    for list in
        [&mut after.voters, &mut after.learners, &mut after.outgoing, &mut after.learners_next]
    {
        list.sort_unstable();
    }
    let named: Vec<ReplicaId> =
        [&after.voters, &after.learners, &after.outgoing, &after.learners_next]
            .into_iter()
            .flatten()
            .copied()
            .collect();
    after.nodes.retain(|id, _| named.contains(id));
    after
}
