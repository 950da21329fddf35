//! Balance: replicas move from the fullest nodes to the emptiest, in proportion to capacity.
//!
//! A replica moves only if its new node is then less full than its old one was before: the sorted
//! fills decrease with every move, so the moves end, at most one replica from even. A move never
//! puts more replicas of a group into one zone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{Group, GroupId, Node, NodeId, Replica};

use crate::operation::OperationKind;
use crate::reconciler::draft::{Draft, Need};
use crate::reconciler::view::View;

/// What a round of balance looks up often.
struct Groups<'a> {
    /// The groups of each node.
    held: BTreeMap<NodeId, Vec<&'a Group>>,
    /// The groups that a change may begin of.
    ready: BTreeSet<GroupId>,
}

impl<'a> Groups<'a> {
    fn of(view: &View<'a>) -> Self {
        let mut held: BTreeMap<NodeId, Vec<&'a Group>> = BTreeMap::new();
        for group in view.topology.groups.values() {
            for voter in group.voters() {
                held.entry(voter.node).or_default().push(group);
            }
        }
        let is_ready = |group: &&&'a Group| {
            let report = view.settled(group);
            report.is_some_and(|report| view.keeps_quorum(group, report, None, true))
        };
        let groups: Vec<&'a Group> = view.topology.groups.values().collect();
        let ready = groups.iter().filter(is_ready).map(|group| group.id).collect();
        Self { held, ready }
    }
}

/// Plans moves. Returns whether the cluster is balanced: no move is left, or waits for a group.
pub(super) fn plan(draft: &mut Draft<'_>) -> bool {
    let groups = Groups::of(&draft.view);
    let mut is_balanced = true;
    loop {
        let (best, waits) = best_move(draft, &groups);
        let Some(best) = best else { return is_balanced && !waits };
        is_balanced = false;
        let planned = draft.plan.steps.len();
        let (need, target) = best.need(draft);
        draft.join(need, target);
        if draft.plan.steps.len() == planned {
            return false;
        }
    }
}

/// Whether every node with a replica is alive: a node that restarts is back soon, and its replicas
/// are no reason to move others.
pub(super) fn is_quiet(view: &View<'_>) -> bool {
    let mut groups = view.topology.groups.values();
    groups.all(|group| group.replicas.iter().all(|replica| view.is_alive(replica.node)))
}

struct Best<'a> {
    group: &'a Group,
    leaving: Replica,
    source: &'a Node,
    target: &'a Node,
}

/// The move from the fullest node to the emptiest that has one, and whether a move waits until its
/// group or nodes are free.
fn best_move<'a>(draft: &Draft<'a>, groups: &Groups<'a>) -> (Option<Best<'a>>, bool) {
    let view = draft.view;
    let mut sources: Vec<&'a Node> = view.targets().collect();
    let mut targets = sources.clone();
    sources.sort_by_key(|node| Reverse((draft.fill(node, 0), node.id)));
    targets.sort_by_key(|node| (draft.fill(node, 1), node.id));
    let mut waits = false;
    for source in sources {
        for target in targets.iter().take_while(|target| improves(draft, source, target)) {
            let held = groups.held.get(&source.id).into_iter().flatten();
            let movable = held.filter_map(|group| {
                movable(&view, group, source, target).map(|leaving| (*group, leaving))
            });
            let (free, busy): (Vec<_>, Vec<_>) = movable.partition(|(group, _)| {
                groups.ready.contains(&group.id) && is_free(draft, group, target)
            });
            waits |= !busy.is_empty();
            let least = free.into_iter().min_by_key(|(group, leaving)| {
                let in_zone = view.in_zone(group, Some(leaving.id), &target.zone);
                (in_zone, group.preferred_leader == source.id, group.id)
            });
            if let Some((group, leaving)) = least {
                return (Some(Best { group, leaving, source, target }), waits);
            }
        }
    }
    (None, waits)
}

/// Whether the target is less full with one replica more than the source is now.
fn improves(draft: &Draft<'_>, source: &Node, target: &Node) -> bool {
    let load = |node: &Node| draft.load.get(&node.id).copied().unwrap_or_default();
    let weight = |node: &Node| u64::from(node.capacity.max(1));
    (load(target) + 1) * weight(source) < load(source) * weight(target)
}

/// The source's replica of the group, if it can move to the target without a loss for zones.
fn movable(view: &View<'_>, group: &Group, source: &Node, target: &Node) -> Option<Replica> {
    let leaving = *group.voters().find(|voter| voter.node == source.id)?;
    let one = view.cluster.moves.get(&group.id);
    if one.is_some_and(|one| one.leaving == Some(leaving.id))
        || group.replica_on(target.id).is_some()
    {
        return None;
    }
    let others = |node: &Node| view.in_zone(group, Some(leaving.id), &node.zone);
    (others(target) <= others(source)).then_some(leaving)
}

fn is_free(draft: &Draft<'_>, group: &Group, target: &Node) -> bool {
    let bytes = draft.view.leader(group).map_or(0, |report| report.state_bytes);
    !draft.is_planned(group.id)
        && draft.view.why_not(group, target).is_none()
        && draft.has_room(group, target.id, bytes)
}

impl<'a> Best<'a> {
    fn need(self, draft: &Draft<'a>) -> (Need<'a>, NodeId) {
        let Self { group, leaving, source, target } = self;
        let joined = OperationKind::NodeJoined { node: target.id };
        let mut groups = draft.view.topology.groups.values();
        let is_empty = !groups.any(|group| group.replica_on(target.id).is_some());
        let (kind, cause) = if is_empty || draft.runs(&joined) {
            (joined, format!("node {} has no replicas", target.id))
        } else {
            let load = |node: &Node| draft.load.get(&node.id).copied().unwrap_or_default();
            let [more, fewer] = [source, target].map(|node| (node.id, load(node)));
            let cause = format!(
                "node {} has {} replicas, node {} has {}",
                more.0, more.1, fewer.0, fewer.1
            );
            (OperationKind::Rebalance, cause)
        };
        (Need { group, leaving: Some(leaving), kind, cause, only: None }, target.id)
    }
}
