//! An operation: a change of the cluster, requested or automatic, with its cause and its progress.
//!
//! Operators read operations; only whether one is still running decides anything. Times are those
//! of the wall clock of the replica that led at that moment, for people only.

use std::fmt;

use ringkv_topology::NodeId;

/// An operation; ids only increase and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u64);

impl OperationId {
    /// The id, or `None` for the wire's zero.
    pub fn from_wire(id: u64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Forms the first groups.
    Bootstrap,
    /// Moves its share of the replicas to a new node.
    NodeJoined { node: NodeId },
    /// Moves all replicas off a node, because an operator requested it.
    NodeDrain { node: NodeId },
    /// Moves all replicas of one node to another.
    NodeReplace { old: NodeId, new: NodeId },
    /// Replaces the replicas of a node that has been silent for too long.
    NodeLost { node: NodeId },
    /// Spreads replicas over nodes and zones.
    Rebalance,
    /// Changes a setting.
    SettingsSet { name: String, value: String },
    /// Adds a replica of placement itself, or removes one.
    PlacementMember { member: NodeId, joins: bool },
}

impl OperationKind {
    /// Whether placement begins it by itself, as long as its cause exists.
    pub fn is_automatic(&self) -> bool {
        match self {
            Self::NodeJoined { .. } | Self::NodeLost { .. } | Self::Rebalance => true,
            Self::Bootstrap
            | Self::NodeDrain { .. }
            | Self::NodeReplace { .. }
            | Self::SettingsSet { .. }
            | Self::PlacementMember { .. } => false,
        }
    }

    /// The node that all replicas leave, if this operation empties one.
    pub fn emptied_node(&self) -> Option<NodeId> {
        match self {
            Self::NodeDrain { node } | Self::NodeReplace { old: node, .. } => Some(*node),
            _ => None,
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bootstrap => f.write_str("bootstrap of the cluster"),
            Self::NodeJoined { node } => write!(f, "spread to new node {node}"),
            Self::NodeDrain { node } => write!(f, "drain of node {node}"),
            Self::NodeReplace { old, new } => write!(f, "replacement of node {old} by node {new}"),
            Self::NodeLost { node } => write!(f, "repair after the loss of node {node}"),
            Self::Rebalance => f.write_str("rebalance"),
            Self::SettingsSet { name, value } => write!(f, "setting {name} = {value}"),
            Self::PlacementMember { member, joins: true } => {
                write!(f, "placement replica {member} joins")
            }
            Self::PlacementMember { member, joins: false } => {
                write!(f, "placement replica {member} leaves")
            }
        }
    }
}

/// Whether an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    Running,
    Done,
    Aborted,
}

/// One operation. A step is the move of one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub id: OperationId,
    pub kind: OperationKind,
    /// Why it began, for people: "requested", "silent for 300 s".
    pub cause: String,
    pub state: OperationState,
    /// Milliseconds since 1970.
    pub began_ms: u64,
    /// 0 while it runs.
    pub ended_ms: u64,
    /// Steps known so far; grows when more turn out to be needed.
    pub total_steps: u32,
    pub done_steps: u32,
    /// Size of the replicas whose move has begun.
    pub total_bytes: u64,
    /// Size of the replicas that are complete on their new node.
    pub done_bytes: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any kind of operation, for tests of byte formats.
    pub(crate) fn operation_kind() -> impl Strategy<Value = OperationKind> {
        let node = || (1..=u64::MAX).prop_map(NodeId);
        prop_oneof![
            Just(OperationKind::Bootstrap),
            node().prop_map(|node| OperationKind::NodeJoined { node }),
            node().prop_map(|node| OperationKind::NodeDrain { node }),
            (node(), node()).prop_map(|(old, new)| OperationKind::NodeReplace { old, new }),
            node().prop_map(|node| OperationKind::NodeLost { node }),
            Just(OperationKind::Rebalance),
            (".{0,9}", ".{0,9}")
                .prop_map(|(name, value)| OperationKind::SettingsSet { name, value }),
            (node(), any::<bool>())
                .prop_map(|(member, joins)| OperationKind::PlacementMember { member, joins }),
        ]
    }
}
