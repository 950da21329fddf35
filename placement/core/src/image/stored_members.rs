//! Placement's own replicas in the image. Field numbers are never reused: they are on disk.

use prost::Message;
use ringkv_consensus::MachineError;
use ringkv_topology::{Epoch, ReplicaId, Role};

use crate::place::Place;
use crate::state::{PlacementMember, PlacementMembers, Recovery};

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredMembers {
    #[prost(message, repeated, tag = "1")]
    replicas: Vec<StoredMember>,
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(uint64, tag = "3")]
    changed: u64,
    #[prost(uint64, repeated, tag = "4")]
    founding: Vec<u64>,
    #[prost(string, repeated, tag = "5")]
    invited: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    recoveries: Vec<StoredRecovery>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMember {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    place: u64,
    #[prost(string, tag = "3")]
    address: String,
    #[prost(uint32, tag = "4")]
    role: u32,
    #[prost(uint64, tag = "5")]
    token: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredRecovery {
    #[prost(uint64, tag = "1")]
    at_s: u64,
    #[prost(string, tag = "2")]
    by: String,
    #[prost(uint64, repeated, tag = "3")]
    nodes: Vec<u64>,
    #[prost(uint64, tag = "4")]
    epoch_found: u64,
    #[prost(uint64, tag = "5")]
    epoch: u64,
}

const VOTER: u32 = 1;
const LEARNER: u32 = 2;
const LEAVING: u32 = 3;

impl StoredMembers {
    pub(super) fn of(members: &PlacementMembers) -> Self {
        let member = |(id, member): (&ReplicaId, &PlacementMember)| StoredMember {
            id: id.0,
            place: member.place.0,
            address: member.address.clone(),
            role: match member.role {
                Role::Voter => VOTER,
                Role::Learner => LEARNER,
                Role::Leaving => LEAVING,
            },
            token: member.token,
        };
        let recovery = |recovery: &Recovery| StoredRecovery {
            at_s: recovery.at_s,
            by: recovery.by.clone(),
            nodes: recovery.nodes.clone(),
            epoch_found: recovery.epoch_found.0,
            epoch: recovery.epoch.0,
        };
        Self {
            replicas: members.replicas.iter().map(member).collect(),
            last: members.last,
            changed: members.changed.0,
            founding: members.founding.iter().map(|place| place.0).collect(),
            invited: members.invited.iter().cloned().collect(),
            recoveries: members.recoveries.iter().map(recovery).collect(),
        }
    }

    pub(super) fn into_members(self) -> Result<PlacementMembers, MachineError> {
        let recovery = |recovery: StoredRecovery| Recovery {
            at_s: recovery.at_s,
            by: recovery.by,
            nodes: recovery.nodes,
            epoch_found: Epoch(recovery.epoch_found),
            epoch: Epoch(recovery.epoch),
        };
        let replicas = self.replicas.into_iter().map(StoredMember::into_member);
        Ok(PlacementMembers {
            replicas: replicas.collect::<Result<_, _>>()?,
            last: self.last,
            changed: Epoch(self.changed),
            founding: self.founding.into_iter().map(Place).collect(),
            invited: self.invited.into_iter().collect(),
            recoveries: self.recoveries.into_iter().map(recovery).collect(),
        })
    }
}

impl StoredMember {
    fn into_member(self) -> Result<(ReplicaId, PlacementMember), MachineError> {
        let Self { id, place, address, role, token } = self;
        let role = match role {
            VOTER => Role::Voter,
            LEARNER => Role::Learner,
            LEAVING => Role::Leaving,
            role => {
                let context = format!("read state: replica {id} of placement has role {role}");
                return Err(MachineError::corrupt(context));
            }
        };
        Ok((ReplicaId(id), PlacementMember { place: Place(place), address, role, token }))
    }
}
