//! The end of a run: after all faults the cluster must recover, and its data must match the replies
//! that clients received.

use std::collections::BTreeMap;

use ringkv_consensus::{GroupStatus, LogIndex, Role};
use ringkv_topology::GroupId;

use super::{Cluster, World};
use crate::history::{Answer, Operation};
use crate::linearizability::{Verdict, check};
use crate::network::Endpoint;
use crate::time::{MILLISECOND, SECOND};
use crate::violation::Violation;

/// The time limit for elections, snapshots and catching up after the last fault. An election takes
/// at most a second and may tie; a snapshot transfer in progress must time out first.
/// A change of shape first waits until a lost node is missed.
const CONVERGE_MAX_SECONDS: u64 = 120;

/// Bounds the linearizability search of one key: about 100 MB of memo. Runs are sized so that they
/// do not reach it; a run that does fails, because it proves nothing.
const SEARCH_STATES_MAX: usize = 1_000_000;

/// The status that the replicas of a group report.
type Replicas = Vec<(Endpoint, GroupStatus)>;

impl World {
    /// The last checks of a run.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        self.wait_for("clients to end", |world| Ok(world.clients.iter().all(|c| c.is_idle())))?;
        self.wait_for("changes of shape to end", Self::is_settled)?;
        self.converge()?;
        self.wait_for("wrong states to be replaced", |world| Ok(!world.finds_wrong_state()))?;
        self.converge()?;
        self.start_last_reads();
        self.wait_for("the last reads", |world| Ok(world.clients.iter().all(|c| c.is_idle())))?;
        self.converge()?;
        self.replicas_hold_the_same()?;
        self.histories_are_linearizable()
    }

    /// Waits until `done` holds; checks at intervals.
    fn wait_for(
        &mut self,
        what: &str,
        done: impl Fn(&Self) -> Result<bool, String>,
    ) -> Result<(), Violation> {
        let end = self.agenda.now() + CONVERGE_MAX_SECONDS * SECOND;
        while !done(self).unwrap_or(false) {
            if self.agenda.now() >= end {
                let why = done(self).err().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(Violation::broken(format!(
                    "waited {CONVERGE_MAX_SECONDS} s in vain for {what}, with nothing broken{why}"
                )));
            }
            self.run_until(self.agenda.now() + 100 * MILLISECOND)?;
        }
        Ok(())
    }

    fn converge(&mut self) -> Result<(), Violation> {
        self.wait_for("the replicas to agree", |world| {
            for (cluster, group, replicas) in world.replicas() {
                converged(world.invariants[cluster as usize].committed_to(group), &replicas)
                    .map_err(|why| format!("{cluster:?} group {group}: {why}"))?;
            }
            Ok(true)
        })
    }

    /// Every group with the status of each of its replicas.
    fn replicas(&self) -> Vec<(Cluster, GroupId, Replicas)> {
        let mut groups: BTreeMap<(Cluster, GroupId), Replicas> = BTreeMap::new();
        for process in 0..self.processes.len() {
            let cluster = self.cluster_of(process);
            for status in self.processes[process].status() {
                groups.entry((cluster, status.group)).or_default().push((process, status));
            }
        }
        groups.into_iter().map(|((cluster, group), found)| (cluster, group, found)).collect()
    }

    fn replicas_hold_the_same(&self) -> Result<(), Violation> {
        for (cluster, group, replicas) in self.replicas() {
            // A state that became wrong after the last state hash cannot be found yet.
            let mut contents = replicas
                .iter()
                .filter(|(process, _)| !self.states.is_wrong(*process, group))
                .map(|(process, _)| (*process, self.processes[*process].machine.export(group)));
            let Some((first, expected)) = contents.next() else { continue };
            if let Some((other, _)) = contents.find(|(_, rows)| *rows != expected) {
                return Err(Violation::broken(format!(
                    "{cluster:?} group {group}: processes {first} and {other} applied the same \
                     entries and hold different rows"
                )));
            }
        }
        Ok(())
    }

    fn histories_are_linearizable(&self) -> Result<(), Violation> {
        for (key, operations) in &self.histories {
            match check(operations, SEARCH_STATES_MAX) {
                Verdict::Linearizable => {}
                Verdict::TooHard => {
                    return Err(Violation::broken(format!(
                        "key {key}: the search for an order was given up"
                    )));
                }
                Verdict::Violation { operation } => {
                    return Err(Violation::broken(format!(
                        "key {key} is not linearizable; no order explains the last of these:\n{}",
                        until(operations, operation)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Counts what the run exercised.
    pub(super) fn sum_up(&mut self) {
        for process in 0..self.processes.len() {
            self.absorb_counters(process);
        }
        self.coverage.events = self.trace.events();
        self.coverage.virtual_seconds = self.agenda.now() / SECOND;
        self.coverage.frames_lost = self.network.lost;
        self.coverage.frames_duplicated = self.network.duplicated;
        for seen in &self.invariants {
            self.coverage.elections += seen.elections;
            self.coverage.commits += seen.commits;
        }
    }

    /// Adds the counts of the current run of a process.
    pub(super) fn absorb_counters(&mut self, process: Endpoint) {
        self.coverage.compactions += self.processes[process].counters().compactions;
    }
}

/// One leader that all replicas know, and every committed entry applied on each.
fn converged(committed: LogIndex, replicas: &[(Endpoint, GroupStatus)]) -> Result<(), String> {
    let leaders: Vec<_> = replicas.iter().filter(|(_, s)| s.role == Role::Leader).collect();
    let [(_, leader)] = leaders[..] else {
        return Err(format!("{} leaders", leaders.len()));
    };
    for (process, status) in replicas {
        let position = (status.term, status.commit_index, status.applied_index, status.last_index);
        if position != (leader.term, leader.last_index, leader.last_index, leader.last_index) {
            return Err(format!("process {process} is at {status:?}, leader {leader:?}"));
        }
    }
    if leader.commit_index == committed {
        Ok(())
    } else {
        Err(format!("{committed} was committed, the leader knows {}", leader.commit_index))
    }
}

/// The operations of a violation: all up to the named one, those near it in full.
fn until(operations: &[Operation], last: usize) -> String {
    let end = operations[last];
    let mut shown: Vec<&Operation> = operations
        .iter()
        .filter(|op| op.invoked <= end.answered || op.answer == Answer::Unknown)
        .filter(|op| **op != end)
        .collect();
    shown.sort_by_key(|op| op.invoked);
    let from = shown.len().saturating_sub(25);
    let lines = shown[from..].iter().copied().chain([&end]).map(|op| {
        let answered = match op.answer {
            Answer::Unknown => "?".to_owned(),
            _ => op.answered.to_string(),
        };
        format!(
            "  client {} [{}, {answered}] {:?} -> {:?}",
            op.client, op.invoked, op.action, op.answer
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
