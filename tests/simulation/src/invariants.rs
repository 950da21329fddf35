//! Raft's invariants, checked after every step from outside: on what nodes made durable, on what
//! they applied, and on the status that they report.
//!
//! One instance checks all groups of one cluster. It has more information than any node: every
//! durable log at every moment. Quorums are computed again here, both halves of a joint
//! configuration, from the members that the committing node has in force; that all nodes have the
//! same members at the same index is checked where they are applied. What a node held when it lost
//! its disks still counts: its acknowledgements may be under way.

mod durable;
mod replica_log;

use std::collections::BTreeMap;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, ApplyTask, Genesis, GroupBatch, GroupStatus, HardState, LogIndex, LogPosition,
    Members, Role, Term,
};
use ringkv_topology::{GroupId, NodeId, ReplicaId};
use xxhash_rust::xxh3::xxh3_64;

use replica_log::ReplicaLog;

/// A violated invariant, described in words.
pub(crate) type Broken = String;

/// All observations of one cluster's groups.
#[derive(Default)]
pub(crate) struct Invariants {
    groups: BTreeMap<GroupId, GroupSeen>,
    replicas: BTreeMap<(GroupId, NodeId), ReplicaSeen>,
    pub(crate) elections: u64,
    pub(crate) commits: u64,
}

#[derive(Default)]
struct GroupSeen {
    /// The members after an index, as bytes.
    members: BTreeMap<LogIndex, Vec<u8>>,
    leaders: BTreeMap<Term, NodeId>,
    entries: BTreeMap<LogPosition, EntrySeen>,
    /// The terms of committed entries, from the first one to the last.
    committed: BTreeMap<LogIndex, Term>,
    committed_to: LogIndex,
    /// The commit index of each term's leader. A candidate that receives its votes late leads in an
    /// older term, and may lack what leaders of later terms committed.
    committed_in: BTreeMap<Term, LogIndex>,
    /// What was applied at an index, and the result.
    applied: BTreeMap<LogIndex, u64>,
    results: BTreeMap<LogIndex, u64>,
}

/// The content of an entry, and the term of the entry before it.
#[derive(Debug)]
struct EntrySeen {
    print: u64,
    before: Option<Term>,
}

#[derive(Default)]
struct ReplicaSeen {
    /// The replica that reported last.
    id: Option<ReplicaId>,
    /// The replica whose state is durable.
    durable_id: Option<ReplicaId>,
    /// The members in force, and those that take their place in this turn.
    members: Members,
    next_members: Vec<Members>,
    log: ReplicaLog,
    durable: HardState,
    term: Term,
    commit: LogIndex,
    applied: LogIndex,
    /// The last index passed to the apply worker.
    handed_over: LogIndex,
}

impl Invariants {
    /// A node has handled inputs and reports this status of its groups.
    pub(crate) fn on_status(
        &mut self,
        node: NodeId,
        statuses: &[GroupStatus],
    ) -> Result<(), Broken> {
        for status in statuses {
            self.no_fall(node, status)?;
            self.one_leader(node, status)?;
            let known = self.groups.entry(status.group).or_default().committed_to;
            for index in known.next().through(status.commit_index) {
                self.commit(node, status, index)?;
            }
        }
        Ok(())
    }

    fn no_fall(&mut self, node: NodeId, status: &GroupStatus) -> Result<(), Broken> {
        let seen = self.replicas.entry((status.group, node)).or_default();
        if seen.id.is_some_and(|id| id != status.replica) {
            (seen.term, seen.commit, seen.applied) = Default::default();
        }
        seen.id = Some(status.replica);
        let pairs = [
            ("term", seen.term.0, status.term.0),
            ("commit index", seen.commit.0, status.commit_index.0),
            ("applied index", seen.applied.0, status.applied_index.0),
        ];
        if let Some((what, before, now)) = pairs.into_iter().find(|(_, before, now)| now < before) {
            let group = status.group;
            return Err(format!("node {node} group {group}: {what} fell from {before} to {now}"));
        }
        if status.applied_index > status.commit_index {
            return Err(format!(
                "node {node} group {}: applied to {}, committed only to {}",
                status.group, status.applied_index, status.commit_index
            ));
        }
        (seen.term, seen.commit) = (status.term, status.commit_index);
        seen.applied = status.applied_index;
        Ok(())
    }

    fn one_leader(&mut self, node: NodeId, status: &GroupStatus) -> Result<(), Broken> {
        if status.role != Role::Leader {
            return Ok(());
        }
        let group = self.groups.entry(status.group).or_default();
        match group.leaders.get(&status.term) {
            Some(leader) if *leader == node => Ok(()),
            Some(leader) => Err(format!(
                "group {}: nodes {leader} and {node} both lead in term {}",
                status.group, status.term
            )),
            None => {
                self.elections += 1;
                group.leaders.insert(status.term, node);
                let earlier = group.committed_in.range(..status.term);
                let committed_to = earlier.map(|(_, index)| *index).max().unwrap_or_default();
                if status.last_index >= committed_to {
                    return Ok(());
                }
                Err(format!(
                    "group {}: node {node} leads in term {} with a log up to {}, but {} is \
                     committed",
                    status.group, status.term, status.last_index, committed_to
                ))
            }
        }
    }

    /// An index is committed for the first time: a majority of each half of the members in force must
    /// have the same durable entry there.
    fn commit(
        &mut self,
        node: NodeId,
        status: &GroupStatus,
        index: LogIndex,
    ) -> Result<(), Broken> {
        let id = status.group;
        let group = self.groups.entry(id).or_default();
        group.committed_to = index;
        group.committed_in.insert(status.term, index);
        self.commits += 1;
        if index <= Genesis::POSITION.index {
            return Ok(());
        }
        let seen = &self.replicas[&(id, node)];
        let mut members = seen.next_members.iter().chain([&seen.members]);
        match members.find_map(|members| self.held_by(id, index, members)) {
            Some(term) => {
                self.groups.entry(id).or_default().committed.insert(index, term);
                Ok(())
            }
            None => Err(format!(
                "group {id}: node {node} takes index {index} for committed, but no majority of \
                 {:?} holds it durably",
                seen.members
            )),
        }
    }

    /// The term of the entry at `index` that a majority of each half holds durably.
    fn held_by(&self, id: GroupId, index: LogIndex, members: &Members) -> Option<Term> {
        let term_on = |voter: &ReplicaId| {
            let node = members.node_of(*voter)?;
            self.replicas.get(&(id, node)).and_then(|seen| seen.log.term(index))
        };
        let holds = |term: Term, voters: &[ReplicaId]| {
            let count = voters.iter().filter(|voter| term_on(voter) == Some(term)).count();
            voters.is_empty() || count > voters.len() / 2
        };
        let mut terms = members.voters.iter().filter_map(term_on);
        terms.find(|term| holds(*term, &members.voters) && holds(*term, &members.outgoing))
    }

    /// A node is going to apply these in this turn, and may have committed more with the members
    /// that they make.
    pub(crate) fn on_turn(&mut self, node: NodeId, tasks: &[ApplyTask]) {
        for task in tasks {
            if let ApplyTask::Batch(batch) = task {
                let seen = self.replicas.entry((batch.group, node)).or_default();
                seen.next_members.push(batch.after.members.clone());
            }
        }
    }

    /// A node is about to apply these entries.
    pub(crate) fn on_apply(&mut self, node: NodeId, batch: &GroupBatch) -> Result<(), Broken> {
        let id = batch.group;
        let group = self.groups.entry(id).or_default();
        let replica = self.replicas.entry((id, node)).or_default();
        for entry in &batch.entries {
            let index = entry.index;
            if index != replica.handed_over.next() {
                return Err(format!(
                    "node {node} group {id}: index {index} is applied after {}",
                    replica.handed_over
                ));
            }
            replica.handed_over = index;
            let term = replica.log.term(index);
            if term.is_none() || term != group.committed.get(&index).copied() {
                return Err(format!(
                    "node {node} group {id}: applies index {index}, which it holds durably with \
                     term {term:?} and which was committed with term {:?}",
                    group.committed.get(&index)
                ));
            }
            let print = entry.commands.as_ref().map_or(0, |batch| xxh3_64(batch.as_bytes()));
            same(&mut group.applied, index, print).map_err(|()| {
                format!("group {id}: node {node} applies another entry at {index}")
            })?;
        }
        replica.next_members.clear();
        replica.members = batch.after.members.clone();
        let mut members = Vec::new();
        batch.after.members.encode(&mut members);
        let at = batch.after.position.index;
        if *group.members.entry(at).or_insert_with(|| members.clone()) != members {
            return Err(format!("group {id}: node {node} has other members at index {at}"));
        }
        Ok(())
    }

    /// A node has applied an entry with these results.
    pub(crate) fn on_results(
        &mut self,
        node: NodeId,
        group: GroupId,
        index: LogIndex,
        results: &[Bytes],
    ) -> Result<(), Broken> {
        let print = xxh3_64(&results.concat());
        let seen = self.groups.entry(group).or_default();
        same(&mut seen.results, index, print)
            .map_err(|()| format!("group {group}: index {index} has another result on node {node}"))
    }

    /// A node is about to install a snapshot of this state.
    pub(crate) fn on_install(&mut self, node: NodeId, group: GroupId, applied: &AppliedState) {
        let replica = self.replicas.entry((group, node)).or_default();
        replica.handed_over = applied.position.index;
        replica.members = applied.members.clone();
    }

    /// The highest index known to be committed in a group.
    pub(crate) fn committed_to(&self, group: GroupId) -> LogIndex {
        self.groups.get(&group).map_or(LogIndex::ZERO, |group| group.committed_to)
    }
}

fn same(seen: &mut BTreeMap<LogIndex, u64>, index: LogIndex, print: u64) -> Result<(), ()> {
    if *seen.entry(index).or_insert(print) == print { Ok(()) } else { Err(()) }
}

#[cfg(test)]
mod tests;
