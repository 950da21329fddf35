//! Preferred leaders: spread over the active nodes that are alive, in proportion to capacity.

use std::collections::{BTreeMap, VecDeque};

use ringkv_topology::{Group, GroupId, NodeId};

use crate::command::{Command, ReplicaCommand};
use crate::reconciler::draft::Draft;
use crate::reconciler::progress::GIVE_UP_MS;
use crate::reconciler::view::View;

/// Chains of changes in one round: each change transfers a leadership.
const CHANGES_MAX: usize = 4;

/// Who is preferred where, as it will be after the round.
struct Leaders<'a> {
    view: View<'a>,
    preferred: BTreeMap<GroupId, NodeId>,
    led: BTreeMap<NodeId, u64>,
}

/// Plans changes of preferred leaders.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let mut leaders = Leaders::of(draft.view);
    if leaders.led.is_empty() {
        return;
    }
    for _ in 0..CHANGES_MAX {
        let Some(changes) = leaders.replace_unfit().or_else(|| leaders.even_out()) else { return };
        for (group, node) in changes {
            leaders.prefer(group, node);
            let prefer = ReplicaCommand::PreferLeader { group, node };
            draft.plan.steps.push(Command::Replicas(prefer));
        }
    }
}

impl<'a> Leaders<'a> {
    fn of(view: View<'a>) -> Self {
        // A node that restarts keeps its leaders: it is back soon.
        let is_fit = |node: &NodeId| {
            let silent = view.silent_ms(*node);
            view.is_active(*node) && silent.is_some_and(|silent| silent < GIVE_UP_MS)
        };
        let fit = view.topology.nodes.keys().copied().filter(is_fit);
        let mut led: BTreeMap<NodeId, u64> = fit.map(|node| (node, 0)).collect();
        let groups = view.topology.groups.values();
        let preferred: BTreeMap<_, _> =
            groups.map(|group| (group.id, group.preferred_leader)).collect();
        for node in preferred.values() {
            if let Some(led) = led.get_mut(node) {
                *led += 1;
            }
        }
        Self { view, preferred, led }
    }

    fn prefer(&mut self, group: GroupId, node: NodeId) {
        let before = self.preferred.insert(group, node);
        if let Some(led) = before.and_then(|before| self.led.get_mut(&before)) {
            *led -= 1;
        }
        if let Some(led) = self.led.get_mut(&node) {
            *led += 1;
        }
    }

    /// The nodes that can lead a group: its voters that stay, on fit nodes.
    fn fit_voters(&self, group: &'a Group) -> impl Iterator<Item = NodeId> + '_ {
        let leaving = self.view.cluster.moves.get(&group.id).and_then(|one| one.leaving);
        let staying = group.voters().filter(move |voter| Some(voter.id) != leaving);
        staying.map(|voter| voter.node).filter(|node| self.led.contains_key(node))
    }

    /// Whether a node that leads `more` groups more is less full of leaders than the other.
    fn is_better(&self, (node, more): (NodeId, u64), (than, fewer): (NodeId, u64)) -> bool {
        let led = |node| self.led.get(&node).copied().unwrap_or_default();
        let weight = |node| self.view.node(node).map_or(1, |node| u64::from(node.capacity.max(1)));
        (led(node) + more) * weight(than) < (led(than) + fewer) * weight(node)
    }

    /// The node that leads the fewest groups by capacity.
    fn least(&self, nodes: impl Iterator<Item = NodeId>) -> Option<NodeId> {
        nodes.reduce(|a, b| if self.is_better((b, 1), (a, 1)) { b } else { a })
    }

    /// A group whose preferred leader is no fit voter, and a better one.
    fn replace_unfit(&self) -> Option<Vec<(GroupId, NodeId)>> {
        self.view.topology.groups.values().find_map(|group| {
            let preferred = self.preferred[&group.id];
            if self.fit_voters(group).any(|node| node == preferred) {
                return None;
            }
            self.least(self.fit_voters(group)).map(|node| vec![(group.id, node)])
        })
    }

    /// A chain of groups from a node that leads too many to one that leads too few. Each node on
    /// the way passes a group on and gets one.
    fn even_out(&self) -> Option<Vec<(GroupId, NodeId)>> {
        let emptiest = self.least(self.led.keys().copied())?;
        let too_full = |source: &&NodeId| self.is_better((emptiest, 1), (**source, 0));
        self.led.keys().filter(too_full).find_map(|source| {
            let ways = self.ways_from(*source);
            let better =
                ways.keys().copied().filter(|node| self.is_better((*node, 1), (*source, 0)));
            let mut node = self.least(better)?;
            let mut changes = Vec::new();
            while node != *source {
                let (group, before) = ways[&node];
                changes.push((group, node));
                node = before;
            }
            Some(changes)
        })
    }

    /// For each node that can be reached, the group that it would take over, and from which node.
    fn ways_from(&self, source: NodeId) -> BTreeMap<NodeId, (GroupId, NodeId)> {
        let mut ways = BTreeMap::new();
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for group in self.view.topology.groups.values() {
                if self.preferred[&group.id] != node {
                    continue;
                }
                for next in self.fit_voters(group) {
                    if next != source && !ways.contains_key(&next) {
                        ways.insert(next, (group.id, node));
                        queue.push_back(next);
                    }
                }
            }
        }
        ways
    }
}
