//! Zones: two replicas of a group in one zone while there is a zone without one.

use ringkv_topology::{Group, Replica};

use crate::operation::OperationKind;
use crate::reconciler::draft::{Draft, Need};

/// A replica that shares its zone with another one and has a better place.
pub(super) fn shared<'a>(draft: &Draft<'a>, group: &'a Group) -> Option<Need<'a>> {
    let view = draft.view;
    let shares = |voter: &&Replica| view.in_zone(group, Some(voter.id), view.zone(voter.node)) > 0;
    let fill = |voter: &&Replica| view.node(voter.node).map(|node| draft.fill(node, 0));
    let leaving = *group.voters().filter(shares).max_by_key(fill)?;
    let mut targets = view.targets();
    let has_place = targets.any(|node| {
        view.in_zone(group, None, &node.zone) == 0 && view.why_not(group, node).is_none()
    });
    has_place.then(|| Need {
        group,
        leaving: Some(leaving),
        kind: OperationKind::Rebalance,
        cause: format!("two replicas of group {} are in one zone", group.id),
        only: None,
    })
}
