//! What is over: operations with nothing left to do, replicas that are destroyed, nodes that are
//! gone.

use ringkv_topology::{NodeId, NodeState, ReplicaId};

use crate::command::{Command, OperationCommand, ReplicaCommand};
use crate::operation::{Operation, OperationKind};
use crate::reconciler::draft::Draft;
use crate::reconciler::view::View;

/// Replicas in one command.
const DESTROYED_MAX: usize = 1_000;

/// Plans the ends. `is_balanced` is whether no move of balance or of zones is left.
pub(super) fn plan(draft: &mut Draft<'_>, is_balanced: bool) {
    let view = draft.view;
    let now_ms = view.now.wall_ms;
    for operation in view.cluster.operations.running.values() {
        let mut moves = view.cluster.moves.values();
        if !moves.any(|one| one.operation == operation.id)
            && !draft.begins_step_of(&operation.kind)
            && is_over(&view, operation, is_balanced)
        {
            let end = OperationCommand::End { operation: operation.id, now_ms };
            draft.plan.steps.push(Command::Operation(end));
        }
    }
    let destroyed = destroyed(&view);
    if !destroyed.is_empty() {
        let destroyed = ReplicaCommand::Destroyed { replicas: destroyed };
        draft.plan.steps.push(Command::Replicas(destroyed));
    }
    for node in view.topology.nodes.keys().filter(|node| is_gone(&view, **node)) {
        let forget = OperationCommand::ForgetNode { node: *node };
        draft.plan.steps.push(Command::Operation(forget));
    }
}

fn is_over(view: &View<'_>, operation: &Operation, is_balanced: bool) -> bool {
    match &operation.kind {
        OperationKind::NodeDrain { node } | OperationKind::NodeReplace { old: node, .. } => {
            !holds_any(view, *node)
        }
        OperationKind::NodeLost { node } => {
            !holds_any(view, *node) || !view.is_active(*node) || is_back(view, *node)
        }
        OperationKind::NodeJoined { node } => {
            is_balanced || !view.is_active(*node) || view.is_lost(*node)
        }
        OperationKind::Rebalance => is_balanced,
        // Over when applied, or ended by the part of placement that runs them.
        OperationKind::Bootstrap
        | OperationKind::SettingsSet { .. }
        | OperationKind::PlacementMember { .. } => false,
    }
}

/// Whether a node that was lost is so no longer.
fn is_back(view: &View<'_>, node: NodeId) -> bool {
    view.silent_ms(node).is_some() && !view.is_lost(node)
}

fn holds_any(view: &View<'_>, node: NodeId) -> bool {
    view.topology.groups.values().any(|group| group.replica_on(node).is_some())
}

/// Removed replicas that their nodes no longer have, and those of nodes that are forgotten.
fn destroyed(view: &View<'_>) -> Vec<ReplicaId> {
    let removed = view.cluster.removed.iter();
    let destroyed = removed.filter(|(id, removed)| {
        view.node(removed.node).is_none()
            || view.observations.lacks(removed.node, **id, removed.dropped)
    });
    destroyed.map(|(id, _)| *id).take(DESTROYED_MAX).collect()
}

/// Whether a node holds nothing, has been silent for long, and will not return: it was drained, or
/// a newer node has its address.
fn is_gone(view: &View<'_>, node: NodeId) -> bool {
    if !view.is_lost(node) || holds_any(view, node) {
        return false;
    }
    let Some(own) = view.node(node) else { return false };
    let mut others = view.topology.nodes.values().filter(|other| other.id != node);
    let is_drained =
        own.state == NodeState::Draining && view.cluster.operations.emptying(node).is_none();
    let is_newer = |other: NodeId| other > node && view.is_alive(other);
    is_drained || others.any(|other| other.address == own.address && is_newer(other.id))
}
