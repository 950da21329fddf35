//! The plan of one round as it grows, and the bounds on what runs at once.
//!
//! Owns where a replica goes, and that no more joins run at a node than it can serve. A group that
//! has a step in this round gets no other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{Group, GroupId, Node, NodeId, Replica, Role};

use crate::command::{Command, Join, ReplicaCommand};
use crate::operation::{OperationId, OperationKind};
use crate::reconciler::view::View;
use crate::reconciler::{Blocker, Plan};
use crate::state::operations::RUNNING_MAX;
use crate::state::replicas::MOVES_MAX;

/// Cost of the joins that may run at once to a node, and from a node: two large ones.
const COST_MAX: u64 = 2 * LARGE_COST;
/// A large group costs as much as this many small ones.
const LARGE_COST: u64 = 4;
/// A group up to this size is small: sending it takes less time than the steps around it.
const SMALL_BYTES: u64 = 16 << 20;
/// Texts about what blocks the plan; further ones are dropped.
const BLOCKED_MAX: usize = 100;

/// A replica that should be on another node.
pub(super) struct Need<'a> {
    pub(super) group: &'a Group,
    /// The voter to replace; `None` when the group has too few.
    pub(super) leaving: Option<Replica>,
    pub(super) kind: OperationKind,
    pub(super) cause: String,
    /// The only node that may take it.
    pub(super) only: Option<NodeId>,
}

/// The plan as it grows.
pub(super) struct Draft<'a> {
    pub(super) view: View<'a>,
    pub(super) plan: Plan,
    /// Groups with a step in this round.
    planned: BTreeSet<GroupId>,
    /// Kinds of operations that begin in this round.
    begun: Vec<OperationKind>,
    /// Replicas of each node when all that is planned is done.
    pub(super) load: BTreeMap<NodeId, u64>,
    to: BTreeMap<NodeId, u64>,
    from: BTreeMap<NodeId, u64>,
    moves: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        let mut draft = Self {
            view,
            plan: Plan::default(),
            planned: BTreeSet::new(),
            begun: Vec::new(),
            load: view.load(),
            to: BTreeMap::new(),
            from: BTreeMap::new(),
            moves: view.cluster.moves.len(),
        };
        for (id, one) in &view.cluster.moves {
            let Some(group) = view.topology.groups.get(id) else { continue };
            let learner = group.replicas.iter().find(|replica| replica.role == Role::Learner);
            if let Some(learner) = learner {
                draft.spend(group, learner.node, one.bytes);
            }
        }
        draft
    }

    /// Adds a step that changes a group.
    pub(super) fn step(&mut self, group: GroupId, command: ReplicaCommand) {
        self.planned.insert(group);
        self.plan.steps.push(Command::Replicas(command));
    }

    /// Notes what blocks an operation, or the cluster as a whole.
    pub(super) fn blocked(&mut self, operation: Option<OperationId>, reason: String) {
        let blocker = Blocker { operation, reason };
        if self.plan.blocked.len() < BLOCKED_MAX && !self.plan.blocked.contains(&blocker) {
            self.plan.blocked.push(blocker);
        }
    }

    /// Notes what blocks an operation of a kind.
    fn kind_blocked(&mut self, kind: &OperationKind, reason: &str) {
        let operation = self.view.cluster.operations.running_of(kind);
        self.blocked(operation, format!("{kind}: {reason}"));
    }

    /// Whether a step is planned for the group in this round.
    pub(super) fn is_planned(&self, group: GroupId) -> bool {
        self.planned.contains(&group)
    }

    /// How full a node is with `more` replicas, in millionths of its capacity.
    pub(super) fn fill(&self, node: &Node, more: u64) -> u64 {
        let load = self.load.get(&node.id).copied().unwrap_or_default() + more;
        load * 1_000_000 / u64::from(node.capacity.max(1))
    }

    /// Plans a join on the best node, or notes why there is none. Does nothing while the nodes that
    /// could take it are busy with others.
    pub(super) fn place(&mut self, need: Need<'a>) {
        let view = self.view;
        let group = need.group;
        if !self.can_change(&need) {
            return;
        }
        let nodes = view.topology.nodes.values();
        let can_take: Vec<&Node> = nodes
            .filter(|node| need.only.is_none_or(|only| only == node.id))
            .filter(|node| view.why_not(group, node).is_none())
            .collect();
        if can_take.is_empty() {
            self.no_target(&need);
            return;
        }
        let bytes = view.leader(group).map_or(0, |report| report.state_bytes);
        let leaving = need.leaving.map(|replica| replica.id);
        let in_zone = |node: &Node| view.in_zone(group, leaving, &node.zone);
        // Rather wait for a node of the best zone than use a worse one and move again.
        let best_zone = can_take.iter().map(|node| in_zone(node)).min();
        let free = can_take
            .into_iter()
            .filter(|node| Some(in_zone(node)) == best_zone)
            .filter(|node| self.has_room(group, node.id, bytes));
        let best = free.min_by_key(|node| {
            let shared = self.shared_groups(group, node.id);
            (self.fill(node, 1), shared, Reverse(node.capacity), node.id)
        });
        if let Some(node) = best {
            self.join(need, node.id);
        }
    }

    /// Whether a change of the group may begin now.
    fn can_change(&mut self, need: &Need<'_>) -> bool {
        let (group, view) = (need.group, self.view);
        let Some(report) = view.settled(group) else {
            let reason = match view.leader(group) {
                None => format!("group {} has no live leader", group.id),
                Some(_) => format!("group {}: its last change is not complete", group.id),
            };
            self.kind_blocked(&need.kind, &reason);
            return false;
        };
        let leaving = need.leaving.map(|replica| replica.id);
        if !view.keeps_quorum(group, report, leaving, true) {
            let reason = format!("group {}: too few of its voters are caught up", group.id);
            self.kind_blocked(&need.kind, &reason);
            return false;
        }
        !self.is_planned(group.id)
    }

    fn no_target(&mut self, need: &Need<'_>) {
        let factor = usize::from(self.view.topology.settings.replication_factor);
        let left = self.view.targets().count();
        let only = need.only.and_then(|only| self.view.node(only));
        let reason = match only {
            Some(node) => self.view.why_not(need.group, node).unwrap_or_default(),
            None if left < factor => {
                format!("{factor} nodes are needed for {factor} replicas, {left} are left")
            }
            None => self.view.why_none(need.group),
        };
        self.kind_blocked(&need.kind, &reason);
    }

    /// Whether one more join may run to the node, and from the group's leader.
    pub(super) fn has_room(&self, group: &Group, node: NodeId, bytes: u64) -> bool {
        let fits = |spent: &BTreeMap<NodeId, u64>, node: NodeId| {
            spent.get(&node).copied().unwrap_or_default() + cost(bytes) <= COST_MAX
        };
        let leader = self.view.leader(group).map(|report| report.node);
        self.moves < MOVES_MAX
            && fits(&self.to, node)
            && leader.is_none_or(|leader| fits(&self.from, leader))
    }

    fn spend(&mut self, group: &Group, node: NodeId, bytes: u64) {
        *self.to.entry(node).or_default() += cost(bytes);
        if let Some(report) = self.view.leader(group) {
            *self.from.entry(report.node).or_default() += cost(bytes);
        }
    }

    /// Plans a join on a node.
    pub(super) fn join(&mut self, need: Need<'a>, node: NodeId) {
        if !self.may_begin(&need.kind) {
            return;
        }
        let Need { group, leaving, kind, cause, .. } = need;
        let bytes = self.view.leader(group).map_or(0, |report| report.state_bytes);
        self.spend(group, node, bytes);
        self.moves += 1;
        *self.load.entry(node).or_default() += 1;
        if let Some(load) = leaving.and_then(|leaving| self.load.get_mut(&leaving.node)) {
            *load = load.saturating_sub(1);
        }
        let join = Join {
            group: group.id,
            changed: group.changed,
            node,
            leaving: leaving.map(|leaving| leaving.id),
            kind,
            cause,
            bytes,
            now_ms: self.view.now.wall_ms,
        };
        self.step(group.id, ReplicaCommand::Join(join));
    }

    /// Whether an operation of the kind runs, or may begin in this round.
    fn may_begin(&mut self, kind: &OperationKind) -> bool {
        let operations = &self.view.cluster.operations;
        if operations.running_of(kind).is_some() || self.begun.contains(kind) {
            return true;
        }
        if operations.running.len() + self.begun.len() >= RUNNING_MAX {
            self.kind_blocked(kind, "too many operations are running");
            return false;
        }
        self.begun.push(kind.clone());
        true
    }

    /// Whether an operation of the kind runs, or begins in this round.
    pub(super) fn runs(&self, kind: &OperationKind) -> bool {
        self.view.cluster.operations.running_of(kind).is_some() || self.begun.contains(kind)
    }

    /// Whether a join of the operation is planned in this round.
    pub(super) fn begins_step_of(&self, kind: &OperationKind) -> bool {
        self.plan.steps.iter().any(|step| match step {
            Command::Replicas(ReplicaCommand::Join(join)) => join.kind == *kind,
            _ => false,
        })
    }

    /// In how many groups the node already meets the group's other nodes: the fewer, the wider the
    /// load of a lost node spreads.
    fn shared_groups(&self, group: &Group, node: NodeId) -> usize {
        let meets = |other: &&Group| {
            let mut replicas = group.replicas.iter();
            other.replica_on(node).is_some()
                && replicas.any(|replica| other.replica_on(replica.node).is_some())
        };
        self.view.topology.groups.values().filter(meets).count()
    }
}

fn cost(bytes: u64) -> u64 {
    if bytes > SMALL_BYTES { LARGE_COST } else { 1 }
}
