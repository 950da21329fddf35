//! The bytes of the commands that change placement's own replicas, and of their refusals. Owns the
//! kinds 50 to 69.

use bytes::{Buf, BufMut};
use ringkv_consensus::DecodeError;
use ringkv_topology::{Epoch, ReplicaId};

use crate::command::format::{begin, put_text, take_text};
use crate::command::{MembersCommand, MembersRefusal};
use crate::place::Place;

const ADMIT: u8 = 50;
const PROMOTE: u8 = 51;
const FORGET: u8 = 52;
const RELOCATE: u8 = 53;
const INVITE: u8 = 54;
const UNINVITE: u8 = 55;
const REMOVE: u8 = 56;
const FOUND: u8 = 57;

/// Whether a command or result of this kind is encoded here.
pub(super) fn owns(kind: u8) -> bool {
    (50..70).contains(&kind)
}

pub(super) fn put(command: &MembersCommand) -> Vec<u8> {
    match command {
        MembersCommand::Admit { place, address, token } => {
            let mut out = begin(ADMIT);
            out.put_u64_le(place.0);
            put_text(&mut out, address);
            out.put_u64_le(*token);
            out
        }
        MembersCommand::Promote { replica, seen } => with_numbers(PROMOTE, &[replica.0, seen.0]),
        MembersCommand::Found { seen } => with_numbers(FOUND, &[seen.0]),
        MembersCommand::Forget { replica, seen } => with_numbers(FORGET, &[replica.0, seen.0]),
        MembersCommand::Relocate { replica, address } => {
            let mut out = with_numbers(RELOCATE, &[replica.0]);
            put_text(&mut out, address);
            out
        }
        MembersCommand::Invite { address } => with_text(INVITE, address),
        MembersCommand::Uninvite { address } => with_text(UNINVITE, address),
        MembersCommand::Remove { replica } => with_numbers(REMOVE, &[replica.0]),
    }
}

pub(super) fn take(kind: u8, input: &mut &[u8]) -> Result<MembersCommand, DecodeError> {
    Ok(match kind {
        ADMIT => MembersCommand::Admit {
            place: take_place(input)?,
            address: take_text(input)?,
            token: input.try_get_u64_le()?,
        },
        PROMOTE => {
            let replica = take_replica(input)?;
            MembersCommand::Promote { replica, seen: Epoch(input.try_get_u64_le()?) }
        }
        FOUND => MembersCommand::Found { seen: Epoch(input.try_get_u64_le()?) },
        FORGET => {
            let replica = take_replica(input)?;
            MembersCommand::Forget { replica, seen: Epoch(input.try_get_u64_le()?) }
        }
        RELOCATE => {
            let replica = take_replica(input)?;
            MembersCommand::Relocate { replica, address: take_text(input)? }
        }
        INVITE => MembersCommand::Invite { address: take_text(input)? },
        UNINVITE => MembersCommand::Uninvite { address: take_text(input)? },
        REMOVE => MembersCommand::Remove { replica: take_replica(input)? },
        _ => return Err(DecodeError::Implausible("command kind")),
    })
}

const PLACE_UNKNOWN: u8 = 52;
const TOO_MANY_REPLICAS: u8 = 53;
const REPLICA_UNKNOWN: u8 = 54;
const ADDRESS_UNKNOWN: u8 = 55;
const ADDRESS_TAKEN: u8 = 56;
const TOO_MANY_INVITED: u8 = 57;
const LAST_REPLICA: u8 = 58;
const FOUNDING: u8 = 59;
const REPLICA_ALIVE: u8 = 60;
const QUORUM_AT_RISK: u8 = 61;
const LEADER_IS_NEW: u8 = 62;

pub(super) fn put_refusal(refusal: &MembersRefusal) -> Vec<u8> {
    match refusal {
        MembersRefusal::PlaceUnknown { place, address } => {
            let mut out = with_numbers(PLACE_UNKNOWN, &[place.0]);
            put_text(&mut out, address);
            out
        }
        MembersRefusal::TooManyReplicas { max } => with_numbers(TOO_MANY_REPLICAS, &[*max]),
        MembersRefusal::ReplicaUnknown { replica } => with_numbers(REPLICA_UNKNOWN, &[replica.0]),
        MembersRefusal::AddressUnknown { address } => with_text(ADDRESS_UNKNOWN, address),
        MembersRefusal::AddressTaken { replica } => with_numbers(ADDRESS_TAKEN, &[replica.0]),
        MembersRefusal::TooManyInvited { max } => with_numbers(TOO_MANY_INVITED, &[*max]),
        MembersRefusal::LastReplica { replica } => with_numbers(LAST_REPLICA, &[replica.0]),
        MembersRefusal::Founding => begin(FOUNDING),
        MembersRefusal::ReplicaAlive { replica } => with_numbers(REPLICA_ALIVE, &[replica.0]),
        MembersRefusal::QuorumAtRisk { replica, live, voters } => {
            with_numbers(QUORUM_AT_RISK, &[replica.0, *live, *voters])
        }
        MembersRefusal::LeaderIsNew => begin(LEADER_IS_NEW),
    }
}

pub(super) fn take_refusal(kind: u8, input: &mut &[u8]) -> Result<MembersRefusal, DecodeError> {
    Ok(match kind {
        PLACE_UNKNOWN => {
            let place = take_place(input)?;
            MembersRefusal::PlaceUnknown { place, address: take_text(input)? }
        }
        TOO_MANY_REPLICAS => MembersRefusal::TooManyReplicas { max: input.try_get_u64_le()? },
        REPLICA_UNKNOWN => MembersRefusal::ReplicaUnknown { replica: take_replica(input)? },
        ADDRESS_UNKNOWN => MembersRefusal::AddressUnknown { address: take_text(input)? },
        ADDRESS_TAKEN => MembersRefusal::AddressTaken { replica: take_replica(input)? },
        TOO_MANY_INVITED => MembersRefusal::TooManyInvited { max: input.try_get_u64_le()? },
        LAST_REPLICA => MembersRefusal::LastReplica { replica: take_replica(input)? },
        FOUNDING => MembersRefusal::Founding,
        REPLICA_ALIVE => MembersRefusal::ReplicaAlive { replica: take_replica(input)? },
        QUORUM_AT_RISK => MembersRefusal::QuorumAtRisk {
            replica: take_replica(input)?,
            live: input.try_get_u64_le()?,
            voters: input.try_get_u64_le()?,
        },
        LEADER_IS_NEW => MembersRefusal::LeaderIsNew,
        _ => return Err(DecodeError::Implausible("result kind")),
    })
}

fn with_numbers(kind: u8, numbers: &[u64]) -> Vec<u8> {
    let mut out = begin(kind);
    numbers.iter().for_each(|number| out.put_u64_le(*number));
    out
}

fn with_text(kind: u8, text: &str) -> Vec<u8> {
    let mut out = begin(kind);
    put_text(&mut out, text);
    out
}

/// Zero is never an id.
fn take_replica(input: &mut &[u8]) -> Result<ReplicaId, DecodeError> {
    ReplicaId::from_wire(input.try_get_u64_le()?).ok_or(DecodeError::Implausible("replica"))
}

fn take_place(input: &mut &[u8]) -> Result<Place, DecodeError> {
    match input.try_get_u64_le()? {
        0 => Err(DecodeError::Implausible("place")),
        place => Ok(Place(place)),
    }
}
