//! The commands that change placement's own replicas, and why one is refused.

use ringkv_topology::{Epoch, ReplicaId};

use crate::place::Place;

/// A request to change which replicas placement consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembersCommand {
    /// A process with an empty data directory asks for an id.
    Admit { place: Place, address: String, token: u64 },
    /// A learner has caught up, as of this change of members.
    Promote { replica: ReplicaId, seen: Epoch },
    /// Every place of the founder's list has a voter in force, as of this change of members.
    Found { seen: Epoch },
    /// A replica that leaves is out of the members in force, as of this change.
    Forget { replica: ReplicaId, seen: Epoch },
    /// A replica is reached at another address.
    Relocate { replica: ReplicaId, address: String },
    /// A process may join at a new place.
    Invite { address: String },
    /// It may no longer.
    Uninvite { address: String },
    /// A replica leaves for good.
    Remove { replica: ReplicaId },
}

/// Why a change of placement's replicas was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersRefusal {
    #[error(
        "placement has no number {place} and does not expect {address}; \
         run `ringkv placement add {address}` first"
    )]
    PlaceUnknown { place: Place, address: String },
    #[error("placement already has {max} replicas, the maximum")]
    TooManyReplicas { max: u64 },
    #[error("placement has no replica {replica}")]
    ReplicaUnknown { replica: ReplicaId },
    #[error("placement has no replica at {address} and does not expect one")]
    AddressUnknown { address: String },
    #[error("replica {replica} of placement is at this address")]
    AddressTaken { replica: ReplicaId },
    #[error("{max} addresses wait for their process already, the maximum")]
    TooManyInvited { max: u64 },
    #[error("replica {replica} is needed: it is the only voter, or placement is being founded")]
    LastReplica { replica: ReplicaId },
    #[error("placement is being founded: not every number of --peers has a voter yet")]
    Founding,
    #[error("replica {replica} at this number of --peers is alive; stop its process first")]
    ReplicaAlive { replica: ReplicaId },
    #[error(
        "without replica {replica} only {live} of {voters} voters are live, no majority; \
         bring the silent ones back first"
    )]
    QuorumAtRisk { replica: ReplicaId, live: u64, voters: u64 },
    #[error("the leader of placement has led for too short a time to know who is alive; retry")]
    LeaderIsNew,
}
