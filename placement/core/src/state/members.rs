//! Which replicas placement itself consists of: what each is to be, at which place and address.
//!
//! Owns the ids of placement's replicas, which are never used again: a forgotten vote under a reused
//! id would allow two leaders. A *place* is a number in `--peers`; it outlives the replicas that
//! stand there. The leader makes the members in force match (`crate::member_steps`). Invariant: a
//! change of what the replicas are to be adds one to `changed`.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_consensus::Members;
use ringkv_topology::{Epoch, ReplicaId, Role};

use crate::command::{MembersCommand, MembersRefusal, Refusal};
use crate::place::Place;

/// The most replicas, those that leave included; more would slow every change down.
pub const PLACEMENT_REPLICAS_MAX: u64 = 14;
/// The most addresses that wait for their process.
pub const INVITED_MAX: u64 = 7;

/// Placement's replicas and who may become one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementMembers {
    pub replicas: BTreeMap<ReplicaId, PlacementMember>,
    /// The highest id assigned so far.
    pub last: u64,
    /// How often `replicas` has changed what a replica is to be: the epoch of the last change.
    pub changed: Epoch,
    /// The other places of the founder's list, until all of them have a voter in force.
    pub founding: BTreeSet<Place>,
    /// Addresses that may join at a new place.
    pub invited: BTreeSet<String>,
    /// The recoveries that this placement comes from.
    pub recoveries: Vec<Recovery>,
}

/// One replica of placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementMember {
    pub place: Place,
    /// `host:port` of its gRPC server; empty if not known.
    pub address: String,
    pub role: Role,
    /// The run of the process that joined: a repeated request gets the same id.
    pub token: u64,
}

/// The record of one rebuild of a placement that was wholly lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Wall clock of the machine that did it, seconds since the Unix epoch.
    pub at_s: u64,
    /// Who did it, as the operator said.
    pub by: String,
    /// The storage nodes that it was rebuilt from.
    pub nodes: Vec<u64>,
    /// The newest epoch that they had, and the first of the recovered placement.
    pub epoch_found: Epoch,
    pub epoch: Epoch,
}

/// The id of a founder.
pub const FOUNDER: ReplicaId = ReplicaId(1);

impl PlacementMembers {
    pub(crate) fn founded(me: Place, peers: &BTreeMap<Place, String>) -> Self {
        let address = peers.get(&me).cloned().unwrap_or_default();
        let founder = PlacementMember { place: me, address, role: Role::Voter, token: 0 };
        Self {
            replicas: [(FOUNDER, founder)].into(),
            last: FOUNDER.0,
            founding: peers.keys().copied().filter(|place| *place != me).collect(),
            ..Self::default()
        }
    }

    /// Members without places of their own: each stands at the place of its id.
    pub(crate) fn of(members: &Members) -> Self {
        let member = |id: &ReplicaId| {
            let (place, address) = (Place(id.0), String::new());
            (*id, PlacementMember { place, address, role: Role::Voter, token: 0 })
        };
        Self {
            replicas: members.voters.iter().map(member).collect(),
            last: members.voters.iter().map(|id| id.0).max().unwrap_or(0),
            changed: members.epoch,
            ..Self::default()
        }
    }

    /// Whether every place of the founder's list is to have a voter.
    pub fn has_all_places(&self) -> bool {
        self.founding.iter().all(|place| self.voters().any(|(_, member)| member.place == *place))
    }

    /// Whether a place of the founder's list has had no voter in force yet: no cluster exists before.
    pub fn is_founding(&self) -> bool {
        !self.founding.is_empty()
    }

    /// The replicas that vote or are to vote at a place.
    pub fn voters(&self) -> impl Iterator<Item = (ReplicaId, &PlacementMember)> {
        let all = self.replicas.iter().filter(|(_, member)| member.role == Role::Voter);
        all.map(|(id, member)| (*id, member))
    }

    /// The replicas at a place that have not left.
    pub fn at(&self, place: Place) -> impl Iterator<Item = ReplicaId> {
        let stands =
            move |member: &PlacementMember| member.place == place && member.role != Role::Leaving;
        self.replicas.iter().filter(move |(_, member)| stands(member)).map(|(id, _)| *id)
    }

    /// The address of a replica, if known.
    pub fn address(&self, replica: ReplicaId) -> Option<&str> {
        let member = self.replicas.get(&replica)?;
        Some(member.address.as_str()).filter(|address| !address.is_empty())
    }

    /// The replica that an operator means: by id or by address.
    pub fn find(&self, replica: Option<ReplicaId>, address: &str) -> Option<ReplicaId> {
        let is_meant = |id: ReplicaId, member: &PlacementMember| {
            replica == Some(id) || (!address.is_empty() && member.address == address)
        };
        let mut all = self.replicas.iter().filter(|(_, member)| member.role != Role::Leaving);
        all.find(|(id, member)| is_meant(**id, member)).map(|(id, _)| *id)
    }

    /// Applies one command; a refused one changes nothing. Returns the id of an admitted replica.
    pub(crate) fn apply(&mut self, command: MembersCommand) -> Result<Option<ReplicaId>, Refusal> {
        match command {
            MembersCommand::Admit { place, address, token } => {
                return self.admit(place, &address, token).map(Some);
            }
            MembersCommand::Promote { replica, seen } => self.promote(replica, seen),
            MembersCommand::Found { seen } => self.found(seen),
            MembersCommand::Forget { replica, seen } => self.forget(replica, seen),
            MembersCommand::Relocate { replica, address } => self.relocate(replica, address),
            MembersCommand::Invite { address } => self.invite(address),
            MembersCommand::Uninvite { address } => self.uninvite(address),
            MembersCommand::Remove { replica } => self.remove(replica),
        }
        .map(|()| None)
    }

    /// Takes in a process with an empty data directory as a learner under a new id.
    fn admit(&mut self, place: Place, address: &str, token: u64) -> Result<ReplicaId, Refusal> {
        let same = |member: &PlacementMember| member.place == place && member.token == token;
        let before = self.at(place).find(|id| same(&self.replicas[id]));
        if let Some(id) = before {
            return Ok(id);
        }
        let known = self.at(place).next().is_some() || self.founding.contains(&place);
        if !known && !self.invited.contains(address) {
            return Err(MembersRefusal::PlaceUnknown { place, address: address.to_owned() }.into());
        }
        if self.replicas.len() as u64 >= PLACEMENT_REPLICAS_MAX {
            return Err(MembersRefusal::TooManyReplicas { max: PLACEMENT_REPLICAS_MAX }.into());
        }
        // A learner that never came up is of no use to the one that comes now.
        self.retire(|member| member.place == place && member.role == Role::Learner);
        self.invited.remove(address);
        self.last += 1;
        let id = ReplicaId(self.last);
        let address = address.to_owned();
        let member = PlacementMember { place, address, role: Role::Learner, token };
        self.replicas.insert(id, member);
        self.changed.0 += 1;
        Ok(id)
    }

    /// A learner has caught up: it becomes a voter, and the voter at its place leaves.
    fn promote(&mut self, id: ReplicaId, seen: Epoch) -> Result<(), Refusal> {
        let learner = self.replicas.get(&id).filter(|member| member.role == Role::Learner);
        let Some(learner) = learner.filter(|_| seen == self.changed) else {
            return Err(Refusal::Stale);
        };
        let place = learner.place;
        self.retire(|member| member.place == place && member.role == Role::Voter);
        if let Some(member) = self.replicas.get_mut(&id) {
            member.role = Role::Voter;
        }
        self.changed.0 += 1;
        Ok(())
    }

    /// Every place of the founder's list has a voter in force.
    fn found(&mut self, seen: Epoch) -> Result<(), Refusal> {
        if seen != self.changed || !self.has_all_places() {
            return Err(Refusal::Stale);
        }
        self.founding.clear();
        Ok(())
    }

    /// A replica that leaves is out of the members in force.
    fn forget(&mut self, id: ReplicaId, seen: Epoch) -> Result<(), Refusal> {
        let leaves = self.replicas.get(&id).is_some_and(|member| member.role == Role::Leaving);
        if !leaves || seen != self.changed {
            return Err(Refusal::Stale);
        }
        self.replicas.remove(&id);
        Ok(())
    }

    /// A replica is reached at another address.
    fn relocate(&mut self, id: ReplicaId, address: String) -> Result<(), Refusal> {
        match self.replicas.get_mut(&id).filter(|member| member.role != Role::Leaving) {
            Some(member) => member.address = address,
            None => return Err(MembersRefusal::ReplicaUnknown { replica: id }.into()),
        }
        Ok(())
    }

    /// Lets a process join at a new place.
    fn invite(&mut self, address: String) -> Result<(), Refusal> {
        if let Some(replica) = self.find(None, &address) {
            return Err(MembersRefusal::AddressTaken { replica }.into());
        }
        if self.invited.len() as u64 >= INVITED_MAX {
            return Err(MembersRefusal::TooManyInvited { max: INVITED_MAX }.into());
        }
        self.invited.insert(address);
        Ok(())
    }

    fn uninvite(&mut self, address: String) -> Result<(), Refusal> {
        if self.invited.remove(&address) {
            return Ok(());
        }
        Err(MembersRefusal::AddressUnknown { address }.into())
    }

    /// Takes a replica out for good, with its place.
    fn remove(&mut self, id: ReplicaId) -> Result<(), Refusal> {
        let Some(member) = self.replicas.get(&id).filter(|member| member.role != Role::Leaving)
        else {
            return Err(MembersRefusal::ReplicaUnknown { replica: id }.into());
        };
        let role = member.role;
        if self.is_founding() || (role == Role::Voter && self.voters().count() == 1) {
            return Err(MembersRefusal::LastReplica { replica: id }.into());
        }
        self.retire_one(id);
        self.changed.0 += 1;
        Ok(())
    }

    fn retire(&mut self, goes: impl Fn(&PlacementMember) -> bool) {
        let leave = self.replicas.values_mut().filter(|member| goes(member));
        leave.for_each(|member| member.role = Role::Leaving);
    }

    fn retire_one(&mut self, id: ReplicaId) {
        if let Some(member) = self.replicas.get_mut(&id) {
            member.role = Role::Leaving;
        }
    }
}

#[cfg(test)]
mod tests;
