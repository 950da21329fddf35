//! The operations of the cluster: those that run, and the last that ended.
//!
//! Owns their ids, bounds and ends. Which steps belong to an operation is in the moves of the
//! groups; what it does next is planned by the reconciler.

use std::collections::{BTreeMap, VecDeque};

use ringkv_topology::{NodeId, NodeState, Role};

use crate::command::{OperationCommand, Refusal};
use crate::operation::{Operation, OperationId, OperationKind, OperationState};
use crate::state::Cluster;

/// Maximum number of running operations: one for every fourth node of the largest cluster.
pub const RUNNING_MAX: usize = 256;

/// How many ended operations are kept, the oldest end first to go.
pub const ENDED_MAX: usize = 200;

/// The operations of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Operations {
    /// The highest id assigned so far.
    pub(crate) last: u64,
    pub(crate) running: BTreeMap<OperationId, Operation>,
    /// In the order of their ends.
    pub(crate) ended: VecDeque<Operation>,
}

impl Operations {
    /// All operations, ascending by id.
    pub(crate) fn all(&self) -> Vec<&Operation> {
        let mut all: Vec<&Operation> = self.running.values().chain(&self.ended).collect();
        all.sort_by_key(|operation| operation.id);
        all
    }

    /// The running operation of a kind.
    pub(crate) fn running_of(&self, kind: &OperationKind) -> Option<OperationId> {
        let mut running = self.running.values();
        running.find(|operation| operation.kind == *kind).map(|operation| operation.id)
    }

    /// The running operation that empties a node.
    pub(crate) fn emptying(&self, node: NodeId) -> Option<&Operation> {
        self.running.values().find(|operation| operation.kind.emptied_node() == Some(node))
    }

    /// Whether one more may begin.
    pub(crate) fn has_room(&self) -> bool {
        self.running.len() < RUNNING_MAX
    }

    /// Begins an operation. The caller has checked that there is room.
    pub(crate) fn begin(
        &mut self,
        kind: OperationKind,
        cause: String,
        now_ms: u64,
    ) -> &mut Operation {
        self.last += 1;
        let id = OperationId(self.last);
        let operation = Operation {
            id,
            kind,
            cause,
            state: OperationState::Running,
            began_ms: now_ms,
            ended_ms: 0,
            total_steps: 0,
            done_steps: 0,
            total_bytes: 0,
            done_bytes: 0,
        };
        self.running.entry(id).or_insert(operation)
    }

    /// Ends a running operation. What it had left to do is no longer counted.
    pub(crate) fn end(&mut self, id: OperationId, state: OperationState, now_ms: u64) {
        let Some(mut operation) = self.running.remove(&id) else { return };
        operation.state = state;
        operation.ended_ms = now_ms;
        if state == OperationState::Done {
            operation.total_steps = operation.done_steps;
        }
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(operation);
    }

    /// The operation of a move: an aborted one still finishes what is past its point of return.
    pub(super) fn get_mut(&mut self, id: OperationId) -> Option<&mut Operation> {
        let Self { running, ended, .. } = self;
        let ended = ended.iter_mut().find(|operation| operation.id == id);
        running.get_mut(&id).or(ended)
    }
}

impl Cluster {
    /// Records an operation that is over as soon as it is applied.
    pub(super) fn record(&mut self, kind: OperationKind, now_ms: u64) -> OperationId {
        let id = self.operations.begin(kind, "requested".into(), now_ms).id;
        self.operations.end(id, OperationState::Done, now_ms);
        id
    }

    /// Begins an operation that moves replicas, with the number of steps that it is about to take.
    ///
    /// # Errors
    /// As many operations run as may run at once.
    pub(super) fn begin_moving(
        &mut self,
        kind: OperationKind,
        cause: String,
        now_ms: u64,
    ) -> Result<OperationId, Refusal> {
        if !self.operations.has_room() {
            let text = format!("{RUNNING_MAX} operations are running, the maximum; retry later");
            return Err(Refusal::Conflict(text));
        }
        let total_steps = match &kind {
            OperationKind::NodeDrain { node }
            | OperationKind::NodeLost { node }
            | OperationKind::NodeReplace { old: node, .. } => self.staying_on(*node),
            OperationKind::NodeJoined { node } => self.share_of(*node),
            _ => 0,
        };
        let operation = self.operations.begin(kind, cause, now_ms);
        operation.total_steps = u32::try_from(total_steps).unwrap_or(u32::MAX);
        Ok(operation.id)
    }

    /// Replicas on a node that no group is about to lose.
    fn staying_on(&self, node: NodeId) -> usize {
        let groups = self.topology.groups.values();
        let replicas = groups.filter_map(|group| group.replica_on(node));
        replicas.filter(|replica| replica.role != Role::Leaving).count()
    }

    /// The node's part of all replicas, by capacity.
    fn share_of(&self, node: NodeId) -> usize {
        let nodes = self.topology.nodes.values();
        let active = nodes.filter(|node| node.state == NodeState::Active);
        let capacity: u64 = active.map(|node| u64::from(node.capacity)).sum();
        let own = self.topology.nodes.get(&node).map_or(0, |node| u64::from(node.capacity));
        let replicas: usize =
            self.topology.groups.values().map(|group| group.voters().count()).sum();
        let share = replicas as u64 * own / capacity.max(1);
        usize::try_from(share).expect("at most the number of replicas")
    }

    /// Applies a command that an operator sent, or that ends what an operator sent.
    pub(super) fn operate(
        &mut self,
        command: OperationCommand,
    ) -> Result<Option<OperationId>, Refusal> {
        match command {
            OperationCommand::DrainNode { node, now_ms } => self.drain(node, now_ms).map(Some),
            OperationCommand::UndrainNode { node, now_ms } => {
                self.undrain(node, now_ms).map(|()| None)
            }
            OperationCommand::ReplaceNode { old, new, now_ms } => {
                self.replace(old, new, now_ms).map(Some)
            }
            OperationCommand::ForgetNode { node } => self.forget(node).map(|()| None),
            OperationCommand::SetSetting { name, value, now_ms } => {
                self.set(name, value, now_ms).map(Some)
            }
            OperationCommand::Abort { operation, now_ms } => {
                self.abort(operation, now_ms).map(|()| None)
            }
            OperationCommand::End { operation, now_ms } => {
                self.end(operation, now_ms).map(|()| None)
            }
        }
    }

    /// Aborts an operation. Its joins that do not vote yet are taken back; the others are finished.
    fn abort(&mut self, id: OperationId, now_ms: u64) -> Result<(), Refusal> {
        let kind = self.running(id)?.kind.clone();
        match kind.emptied_node() {
            Some(node) => self.undrain(node, now_ms),
            None if kind.is_automatic() => Err(Refusal::Conflict(format!(
                "operation {id} ({kind}) began by itself and would begin again; it ends when its \
                 cause does"
            ))),
            None => Err(Refusal::Conflict(format!("operation {id} ({kind}) cannot be aborted"))),
        }
    }

    /// Ends an operation that has nothing left to do.
    fn end(&mut self, id: OperationId, now_ms: u64) -> Result<(), Refusal> {
        self.running(id)?;
        if self.moves.values().any(|one| one.operation == id) {
            return Err(Refusal::Stale);
        }
        self.operations.end(id, OperationState::Done, now_ms);
        Ok(())
    }

    fn running(&self, id: OperationId) -> Result<&Operation, Refusal> {
        self.operations.running.get(&id).ok_or(Refusal::NotRunning { operation: id })
    }
}
