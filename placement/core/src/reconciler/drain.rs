//! Nodes that an operator empties: their replicas move away, or to the node that replaces them.

use ringkv_topology::{Group, NodeId};

use crate::operation::OperationKind;
use crate::reconciler::draft::Need;
use crate::reconciler::view::View;

/// A replica of a node that is replaced by another one.
pub(super) fn replaced<'a>(view: &View<'a>, group: &'a Group) -> Option<Need<'a>> {
    // Any node takes the replica if the new one has another of the group, or is leaving itself.
    let can_take = |new: &NodeId| {
        group.replica_on(*new).is_none() && view.is_active(*new) && !view.is_lost(*new)
    };
    need(view, group, |kind| match kind {
        OperationKind::NodeReplace { new, .. } => Some(Some(*new).filter(can_take)),
        _ => None,
    })
}

/// A replica of a node that drains.
pub(super) fn drained<'a>(view: &View<'a>, group: &'a Group) -> Option<Need<'a>> {
    need(view, group, |kind| matches!(kind, OperationKind::NodeDrain { .. }).then_some(None))
}

/// The need of the first voter whose node is emptied by an operation that `matching` accepts; it
/// returns the only node that may take the replica, if there is only one.
fn need<'a>(
    view: &View<'a>,
    group: &'a Group,
    matching: impl Fn(&OperationKind) -> Option<Option<NodeId>>,
) -> Option<Need<'a>> {
    group.voters().find_map(|voter| {
        let operation = view.cluster.operations.emptying(voter.node)?;
        let only = matching(&operation.kind)?;
        let (kind, cause) = (operation.kind.clone(), operation.cause.clone());
        Some(Need { group, leaving: Some(*voter), kind, cause, only })
    })
}
