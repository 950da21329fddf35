//! Groups that lack a voter, or have one too many, and nodes that are lost.

use std::cmp::Reverse;

use ringkv_topology::{Group, Replica};

use crate::command::ReplicaCommand;
use crate::operation::OperationKind;
use crate::reconciler::draft::{Draft, Need};
use crate::reconciler::view::View;

/// The voter that a group lacks.
pub(super) fn too_few<'a>(view: &View<'a>, group: &'a Group) -> Option<Need<'a>> {
    let factor = usize::from(view.topology.settings.replication_factor);
    let voters = group.voters().count();
    (voters < factor).then(|| Need {
        group,
        leaving: None,
        kind: OperationKind::Rebalance,
        cause: format!("group {} has {voters} of {factor} voters", group.id),
        only: None,
    })
}

/// A replica on a node that has been silent for too long. A node that an operator empties is left to
/// that operation.
pub(super) fn lost<'a>(view: &View<'a>, group: &'a Group) -> Option<Need<'a>> {
    let leaving = *group.voters().find(|voter| {
        let operations = &view.cluster.operations;
        view.is_lost(voter.node) && operations.emptying(voter.node).is_none()
    })?;
    let silent_s = view.silent_ms(leaving.node).unwrap_or_default() / 1_000;
    Some(Need {
        group,
        leaving: Some(leaving),
        kind: OperationKind::NodeLost { node: leaving.node },
        cause: format!("silent for {silent_s} s"),
        only: None,
    })
}

/// Removes a voter from each group that has one too many.
pub(super) fn remove_surplus(draft: &mut Draft<'_>) {
    let view = draft.view;
    let factor = usize::from(view.topology.settings.replication_factor);
    for group in view.topology.groups.values().filter(|group| group.voters().count() > factor) {
        let Some(report) = view.settled(group).filter(|_| !draft.is_planned(group.id)) else {
            continue;
        };
        let keeps_quorum =
            |voter: &&Replica| view.keeps_quorum(group, report, Some(voter.id), false);
        let least_needed = |voter: &&Replica| {
            let others = view.in_zone(group, Some(voter.id), view.zone(voter.node));
            let fill = view.node(voter.node).map(|node| draft.fill(node, 0));
            let is_led = voter.node == report.node;
            (
                !view.is_alive(voter.node),
                !view.is_active(voter.node),
                others,
                !is_led,
                fill,
                Reverse(voter.id),
            )
        };
        let surplus = group.voters().filter(keeps_quorum).max_by_key(least_needed);
        if let Some(replica) = surplus.map(|voter| voter.id) {
            let (group, changed) = (group.id, group.changed);
            draft.step(group, ReplicaCommand::Leave { group, changed, replica });
        }
    }
}
