//! The stored form of removed replicas, moves and operations. Field numbers and kinds are never
//! reused: they are on disk.

use prost::Message;
use ringkv_consensus::MachineError;
use ringkv_topology::{Epoch, GroupId, NodeId, ReplicaId};

use crate::operation::{Operation, OperationId, OperationKind, OperationState};
use crate::state::operations::Operations;
use crate::state::replicas::{Move, Removed};

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredRemoved {
    #[prost(uint64, tag = "1")]
    replica: u64,
    #[prost(uint64, tag = "2")]
    group: u64,
    #[prost(uint64, tag = "3")]
    node: u64,
    #[prost(uint64, tag = "4")]
    dropped: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredMove {
    #[prost(uint64, tag = "1")]
    group: u64,
    #[prost(uint64, tag = "2")]
    joining: u64,
    /// 0 is none.
    #[prost(uint64, tag = "3")]
    leaving: u64,
    #[prost(uint64, tag = "4")]
    operation: u64,
    #[prost(uint64, tag = "5")]
    bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredOperations {
    #[prost(uint64, tag = "1")]
    last: u64,
    #[prost(message, repeated, tag = "2")]
    running: Vec<StoredOperation>,
    #[prost(message, repeated, tag = "3")]
    ended: Vec<StoredOperation>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredOperation {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint32, tag = "2")]
    kind: u32,
    /// The node of the kind, or the placement replica.
    #[prost(uint64, tag = "3")]
    node: u64,
    /// The node that takes the place of the first.
    #[prost(uint64, tag = "4")]
    new: u64,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(string, tag = "6")]
    value: String,
    #[prost(string, tag = "7")]
    cause: String,
    #[prost(uint32, tag = "8")]
    state: u32,
    #[prost(uint64, tag = "9")]
    began_ms: u64,
    #[prost(uint64, tag = "10")]
    ended_ms: u64,
    #[prost(uint32, tag = "11")]
    total_steps: u32,
    #[prost(uint32, tag = "12")]
    done_steps: u32,
    #[prost(uint64, tag = "13")]
    total_bytes: u64,
    #[prost(uint64, tag = "14")]
    done_bytes: u64,
}

const BOOTSTRAP: u32 = 1;
const NODE_JOINED: u32 = 2;
const NODE_DRAIN: u32 = 3;
const NODE_REPLACE: u32 = 4;
const NODE_LOST: u32 = 5;
const REBALANCE: u32 = 6;
const SETTINGS_SET: u32 = 7;
const PLACEMENT_JOINS: u32 = 8;
const PLACEMENT_LEAVES: u32 = 9;

const RUNNING: u32 = 1;
const DONE: u32 = 2;
const ABORTED: u32 = 3;

impl StoredRemoved {
    pub(super) fn of((replica, removed): (&ReplicaId, &Removed)) -> Self {
        let Removed { group, node, dropped } = removed;
        Self { replica: replica.0, group: group.0, node: node.0, dropped: dropped.0 }
    }

    pub(super) fn into_removed(self) -> (ReplicaId, Removed) {
        let Self { replica, group, node, dropped } = self;
        let removed =
            Removed { group: GroupId(group), node: NodeId(node), dropped: Epoch(dropped) };
        (ReplicaId(replica), removed)
    }
}

impl StoredMove {
    pub(super) fn of((group, one): (&GroupId, &Move)) -> Self {
        Self {
            group: group.0,
            joining: one.joining.0,
            leaving: one.leaving.map_or(0, |leaving| leaving.0),
            operation: one.operation.0,
            bytes: one.bytes,
        }
    }

    pub(super) fn into_move(self) -> (GroupId, Move) {
        let one = Move {
            joining: ReplicaId(self.joining),
            leaving: ReplicaId::from_wire(self.leaving),
            operation: OperationId(self.operation),
            bytes: self.bytes,
        };
        (GroupId(self.group), one)
    }
}

impl StoredOperations {
    pub(super) fn of(operations: &Operations) -> Self {
        Self {
            last: operations.last,
            running: operations.running.values().map(StoredOperation::of).collect(),
            ended: operations.ended.iter().map(StoredOperation::of).collect(),
        }
    }

    pub(super) fn into_operations(self) -> Result<Operations, MachineError> {
        let running = self.running.into_iter().map(|stored| {
            let operation = stored.into_operation()?;
            Ok((operation.id, operation))
        });
        Ok(Operations {
            last: self.last,
            running: running.collect::<Result<_, MachineError>>()?,
            ended: self
                .ended
                .into_iter()
                .map(StoredOperation::into_operation)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl StoredOperation {
    fn of(operation: &Operation) -> Self {
        let mut stored = Self {
            id: operation.id.0,
            cause: operation.cause.clone(),
            state: match operation.state {
                OperationState::Running => RUNNING,
                OperationState::Done => DONE,
                OperationState::Aborted => ABORTED,
            },
            began_ms: operation.began_ms,
            ended_ms: operation.ended_ms,
            total_steps: operation.total_steps,
            done_steps: operation.done_steps,
            total_bytes: operation.total_bytes,
            done_bytes: operation.done_bytes,
            ..Self::default()
        };
        stored.set_kind(&operation.kind);
        stored
    }

    fn set_kind(&mut self, kind: &OperationKind) {
        (self.kind, self.node) = match kind {
            OperationKind::Bootstrap => (BOOTSTRAP, 0),
            OperationKind::NodeJoined { node } => (NODE_JOINED, node.0),
            OperationKind::NodeDrain { node } => (NODE_DRAIN, node.0),
            OperationKind::NodeReplace { old, new } => {
                self.new = new.0;
                (NODE_REPLACE, old.0)
            }
            OperationKind::NodeLost { node } => (NODE_LOST, node.0),
            OperationKind::Rebalance => (REBALANCE, 0),
            OperationKind::SettingsSet { name, value } => {
                (self.name, self.value) = (name.clone(), value.clone());
                (SETTINGS_SET, 0)
            }
            OperationKind::PlacementMember { member, joins: true } => (PLACEMENT_JOINS, member.0),
            OperationKind::PlacementMember { member, joins: false } => (PLACEMENT_LEAVES, member.0),
        };
    }

    fn into_operation(self) -> Result<Operation, MachineError> {
        let corrupt = |what, value| {
            MachineError::corrupt(format!("read operation {}: {what} {value} is unknown", self.id))
        };
        let node = NodeId(self.node);
        let kind = match self.kind {
            BOOTSTRAP => OperationKind::Bootstrap,
            NODE_JOINED => OperationKind::NodeJoined { node },
            NODE_DRAIN => OperationKind::NodeDrain { node },
            NODE_REPLACE => OperationKind::NodeReplace { old: node, new: NodeId(self.new) },
            NODE_LOST => OperationKind::NodeLost { node },
            REBALANCE => OperationKind::Rebalance,
            SETTINGS_SET => OperationKind::SettingsSet { name: self.name, value: self.value },
            PLACEMENT_JOINS => OperationKind::PlacementMember { member: node, joins: true },
            PLACEMENT_LEAVES => OperationKind::PlacementMember { member: node, joins: false },
            other => return Err(corrupt("kind", other)),
        };
        let state = match self.state {
            RUNNING => OperationState::Running,
            DONE => OperationState::Done,
            ABORTED => OperationState::Aborted,
            other => return Err(corrupt("state", other)),
        };
        Ok(Operation {
            id: OperationId(self.id),
            kind,
            cause: self.cause,
            state,
            began_ms: self.began_ms,
            ended_ms: self.ended_ms,
            total_steps: self.total_steps,
            done_steps: self.done_steps,
            total_bytes: self.total_bytes,
            done_bytes: self.done_bytes,
        })
    }
}
