//! The change of a group's replicas: a replica joins, becomes a voter, and another one leaves.
//!
//! Every command is guarded by the epoch at which the group last changed, and refused as stale
//! after it. Invariants: ids only increase; at most one replica of a group on a node, one that
//! still has to be destroyed there included; one change of a group at a time; the voters of a group
//! never become fewer than its replication factor. The group's leader makes the members in force
//! match, and the reconciler waits for its report before the next command.

use ringkv_topology::{Epoch, Group, GroupId, NodeId, NodeState, Replica, ReplicaId, Role};

use crate::command::{Join, Refusal, ReplicaCommand};
use crate::operation::OperationId;
use crate::state::Cluster;

/// Maximum number of groups that change at once.
pub const MOVES_MAX: usize = 64;

/// A replica that joins a group, mostly in place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub joining: ReplicaId,
    /// The replica whose place it takes.
    pub leaving: Option<ReplicaId>,
    pub operation: OperationId,
    /// Size of the group's state when the move began.
    pub bytes: u64,
}

/// A replica that is out of its group for good and may still be on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    pub group: GroupId,
    pub node: NodeId,
    /// A node that knows the topology of this epoch no longer creates the replica.
    pub dropped: Epoch,
}

impl Cluster {
    /// Applies a step of a change of replicas.
    pub(super) fn change_replicas(&mut self, command: ReplicaCommand) -> Result<(), Refusal> {
        match command {
            ReplicaCommand::Join(join) => self.join(join),
            ReplicaCommand::Promote { group, changed, joining } => {
                self.promote(group, changed, joining)
            }
            ReplicaCommand::Leave { group, changed, replica } => {
                self.leave(group, changed, replica)
            }
            ReplicaCommand::Drop { group, changed, replica } => {
                self.drop_replica(group, changed, replica)
            }
            ReplicaCommand::Destroyed { replicas } => {
                self.removed.retain(|id, _| !replicas.contains(id));
                Ok(())
            }
            ReplicaCommand::PreferLeader { group, node } => self.prefer_leader(group, node),
        }
    }

    /// Whether a change of the group is running.
    pub(crate) fn is_busy(&self, group: &Group) -> bool {
        self.moves.contains_key(&group.id)
            || group.replicas.iter().any(|replica| replica.role != Role::Voter)
    }

    fn join(&mut self, join: Join) -> Result<(), Refusal> {
        let group = self.at(join.group, join.changed)?;
        if self.is_busy(group) || self.moves.len() >= MOVES_MAX {
            return Err(Refusal::Stale);
        }
        self.check_join(group, &join).map_err(Refusal::Impossible)?;
        let operation = match self.operations.running_of(&join.kind) {
            Some(running) => running,
            None if join.kind.is_automatic() => {
                self.begin_moving(join.kind, join.cause, join.now_ms)?
            }
            None => return Err(Refusal::Stale),
        };
        let joining = self.new_replica(join.leaving);
        let epoch = self.next_epoch();
        let one = Move { joining, leaving: join.leaving, operation, bytes: join.bytes };
        self.moves.insert(join.group, one);
        let steps = self.moves.values().filter(|one| one.operation == operation).count();
        if let Some(operation) = self.operations.get_mut(operation) {
            let steps = operation.done_steps + u32::try_from(steps).expect("a bounded number");
            operation.total_steps = operation.total_steps.max(steps);
            operation.total_bytes += join.bytes;
        }
        let replica = Replica { id: joining, node: join.node, role: Role::Learner };
        self.change(join.group, epoch, |group| group.replicas.push(replica));
        Ok(())
    }

    fn check_join(&self, group: &Group, join: &Join) -> Result<(), String> {
        let Join { node, leaving, .. } = join;
        let id = group.id;
        if self.topology.nodes.get(node).is_none_or(|node| node.state != NodeState::Active) {
            return Err(format!("node {node} for group {id} is not active"));
        }
        let mut removed = self.removed.values();
        if group.replica_on(*node).is_some()
            || removed.any(|one| one.node == *node && one.group == id)
        {
            return Err(format!("node {node} already has a replica of group {id}"));
        }
        let factor = usize::from(self.topology.settings.replication_factor);
        match leaving {
            Some(leaving) if !group.voters().any(|voter| voter.id == *leaving) => {
                Err(format!("replica {leaving} is not a voter of group {id}"))
            }
            None if group.voters().count() >= factor => {
                Err(format!("group {id} already has {factor} voters"))
            }
            _ => Ok(()),
        }
    }

    /// The joining replica votes. The one that it replaces leaves in the same change, unless it is
    /// the only voter: then it leaves in a change of its own, after it has handed over.
    fn promote(&mut self, id: GroupId, changed: Epoch, joining: ReplicaId) -> Result<(), Refusal> {
        let group = self.at(id, changed)?;
        let is_learner = |replica: &Replica| replica.id == joining && replica.role == Role::Learner;
        let Some(one) = self.moves.get(&id).copied().filter(|one| one.joining == joining) else {
            return Err(Refusal::Stale);
        };
        if !group.replicas.iter().any(is_learner) {
            return Err(Refusal::Stale);
        }
        let leaving = one.leaving.filter(|_| group.voters().count() > 1);
        if let Some(operation) = self.operations.get_mut(one.operation) {
            operation.done_bytes += one.bytes;
        }
        if one.leaving.is_none() {
            self.moved(id);
        }
        let epoch = self.next_epoch();
        self.change(id, epoch, |group| {
            set_role(group, joining, Role::Voter);
            if let Some(leaving) = leaving {
                set_role(group, leaving, Role::Leaving);
            }
        });
        self.move_preferred(id, Some(joining));
        Ok(())
    }

    /// A join is taken back, or a voter that the group no longer needs leaves. A join may be taken
    /// back after its promotion too, while the group's leader could not make it so: then the replica
    /// that was to leave stays.
    fn leave(&mut self, id: GroupId, changed: Epoch, leaving: ReplicaId) -> Result<(), Refusal> {
        let group = self.at(id, changed)?;
        let role = group.replicas.iter().find(|replica| replica.id == leaving);
        let role = role.map(|replica| replica.role);
        let one = self.moves.get(&id).copied();
        let taken_back = one.filter(|one| one.joining == leaving);
        match (role, taken_back) {
            (Some(Role::Learner | Role::Voter), Some(_)) => {}
            (Some(Role::Voter), None) if self.is_surplus(group, leaving) => {}
            _ => return Err(Refusal::Stale),
        }
        if role == Some(Role::Voter)
            && let Some(one) = taken_back
            && let Some(operation) = self.operations.get_mut(one.operation)
        {
            operation.done_bytes = operation.done_bytes.saturating_sub(one.bytes);
        }
        let staying = taken_back.and_then(|one| one.leaving);
        let epoch = self.next_epoch();
        self.change(id, epoch, |group| {
            set_role(group, leaving, Role::Leaving);
            if let Some(staying) = staying {
                set_role(group, staying, Role::Voter);
            }
        });
        self.move_preferred(id, staying.or(one.map(|one| one.joining)));
        Ok(())
    }

    /// Whether the group has a voter too many, and this one is to leave.
    fn is_surplus(&self, group: &Group, leaving: ReplicaId) -> bool {
        let is_settled = group.replicas.iter().all(|replica| replica.role == Role::Voter);
        let one = self.moves.get(&group.id);
        let is_due = one.is_none_or(|one| one.leaving == Some(leaving));
        let factor = usize::from(self.topology.settings.replication_factor);
        is_settled && is_due && group.voters().count() > factor
    }

    /// The members in force are without the replica: it is out, and waits to be destroyed. The
    /// group's last change stays the one that removed it.
    fn drop_replica(&mut self, id: GroupId, changed: Epoch, out: ReplicaId) -> Result<(), Refusal> {
        let group = self.at(id, changed)?;
        let is_out = |replica: &&Replica| replica.id == out && replica.role == Role::Leaving;
        let node = group.replicas.iter().find(is_out).ok_or(Refusal::Stale)?.node;
        let dropped = self.next_epoch();
        self.removed.insert(out, Removed { group: id, node, dropped });
        if let Some(group) = self.topology.groups.get_mut(&id) {
            group.replicas.retain(|replica| replica.role != Role::Leaving);
        }
        match self.moves.get(&id).copied() {
            Some(one) if one.leaving == Some(out) => self.moved(id),
            Some(one) if one.joining == out => {
                self.moves.remove(&id);
                if let Some(operation) = self.operations.get_mut(one.operation) {
                    operation.total_bytes = operation.total_bytes.saturating_sub(one.bytes);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn prefer_leader(&mut self, id: GroupId, node: NodeId) -> Result<(), Refusal> {
        let group = self.topology.groups.get(&id).ok_or(Refusal::Stale)?;
        let votes = group.voters().any(|voter| voter.node == node);
        let known = self.topology.nodes.get(&node);
        if !votes || known.is_none_or(|node| node.state != NodeState::Active) {
            return Err(Refusal::Stale);
        }
        if group.preferred_leader != node {
            self.next_epoch();
            if let Some(group) = self.topology.groups.get_mut(&id) {
                group.preferred_leader = node;
            }
        }
        Ok(())
    }

    /// The group, if it has not changed since.
    fn at(&self, group: GroupId, changed: Epoch) -> Result<&Group, Refusal> {
        let group = self.topology.groups.get(&group);
        group.filter(|group| group.changed == changed).ok_or(Refusal::Stale)
    }

    fn new_replica(&mut self, leaving: Option<ReplicaId>) -> ReplicaId {
        self.last_replica += 1;
        match leaving {
            Some(leaving) if cfg!(feature = "planted-replica-id-reused") => leaving,
            _ => ReplicaId(self.last_replica),
        }
    }

    fn change(&mut self, group: GroupId, epoch: Epoch, change: impl FnOnce(&mut Group)) {
        if let Some(group) = self.topology.groups.get_mut(&group) {
            group.changed = epoch;
            change(group);
        }
    }

    /// The group's move is complete.
    fn moved(&mut self, group: GroupId) {
        let Some(one) = self.moves.remove(&group) else { return };
        if let Some(operation) = self.operations.get_mut(one.operation) {
            operation.done_steps += 1;
        }
    }

    /// The preferred leader is a voter: if it no longer votes, the node of the heir takes its
    /// place, or the first voter's.
    fn move_preferred(&mut self, group: GroupId, heir: Option<ReplicaId>) {
        let Some(group) = self.topology.groups.get_mut(&group) else { return };
        if group.voters().any(|voter| voter.node == group.preferred_leader) {
            return;
        }
        let heir = group.voters().find(|voter| Some(voter.id) == heir);
        if let Some(voter) = heir.or_else(|| group.voters().next()) {
            group.preferred_leader = voter.node;
        }
    }
}

fn set_role(group: &mut Group, id: ReplicaId, role: Role) {
    for replica in group.replicas.iter_mut().filter(|replica| replica.id == id) {
        replica.role = role;
    }
}
