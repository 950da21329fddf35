//! The bytes of the commands that change the replicas of a group. Owns the numbers 20 to 29 of the
//! kinds, which are never reused.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_topology::{Epoch, GroupId, ReplicaId};

use crate::command::format::operations::{put_operation_kind, take_operation_kind};
use crate::command::format::{
    begin, put_ids, put_text, take_ids, take_node, take_text, unknown_kind,
};
use crate::command::{Join, ReplicaCommand};

const JOIN: u8 = 20;
const PROMOTE: u8 = 21;
const LEAVE: u8 = 22;
const DROP: u8 = 23;
const DESTROYED: u8 = 24;
const PREFER_LEADER: u8 = 25;

impl ReplicaCommand {
    pub(super) const FIRST_KIND: u8 = JOIN;
    pub(super) const LAST_KIND: u8 = PREFER_LEADER;

    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Join(join) => encode_join(join),
            Self::Promote { group, changed, joining } => step(PROMOTE, *group, *changed, *joining),
            Self::Leave { group, changed, replica } => step(LEAVE, *group, *changed, *replica),
            Self::Drop { group, changed, replica } => step(DROP, *group, *changed, *replica),
            Self::Destroyed { replicas } => {
                let mut out = begin(DESTROYED);
                put_ids(&mut out, replicas.iter().map(|replica| replica.0));
                out.into()
            }
            Self::PreferLeader { group, node } => {
                let mut out = begin(PREFER_LEADER);
                out.put_u64_le(group.0);
                out.put_u64_le(node.0);
                out.into()
            }
        }
    }

    /// The command of a kind, after its version and kind.
    pub(super) fn take(kind: u8, input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(match kind {
            JOIN => Self::Join(take_join(input)?),
            PROMOTE => {
                let (group, changed, joining) = take_step(input)?;
                Self::Promote { group, changed, joining }
            }
            LEAVE => {
                let (group, changed, replica) = take_step(input)?;
                Self::Leave { group, changed, replica }
            }
            DROP => {
                let (group, changed, replica) = take_step(input)?;
                Self::Drop { group, changed, replica }
            }
            DESTROYED => {
                Self::Destroyed { replicas: take_ids(input)?.into_iter().map(ReplicaId).collect() }
            }
            PREFER_LEADER => Self::PreferLeader {
                group: GroupId(input.try_get_u64_le()?),
                node: take_node(input)?,
            },
            _ => return Err(unknown_kind()),
        })
    }
}

fn step(kind: u8, group: GroupId, changed: Epoch, replica: ReplicaId) -> Bytes {
    let mut out = begin(kind);
    out.put_u64_le(group.0);
    out.put_u64_le(changed.0);
    out.put_u64_le(replica.0);
    out.into()
}

fn take_step(input: &mut &[u8]) -> Result<(GroupId, Epoch, ReplicaId), DecodeError> {
    let group = GroupId(input.try_get_u64_le()?);
    Ok((group, Epoch(input.try_get_u64_le()?), take_replica(input)?))
}

fn take_replica(input: &mut &[u8]) -> Result<ReplicaId, DecodeError> {
    ReplicaId::from_wire(input.try_get_u64_le()?).ok_or(DecodeError::Implausible("replica"))
}

/// A leaving replica of 0 is none.
fn encode_join(join: &Join) -> Bytes {
    let mut out = begin(JOIN);
    out.put_u64_le(join.group.0);
    out.put_u64_le(join.changed.0);
    out.put_u64_le(join.node.0);
    out.put_u64_le(join.leaving.map_or(0, |leaving| leaving.0));
    put_operation_kind(&mut out, &join.kind);
    put_text(&mut out, &join.cause);
    out.put_u64_le(join.bytes);
    out.put_u64_le(join.now_ms);
    out.into()
}

fn take_join(input: &mut &[u8]) -> Result<Join, DecodeError> {
    Ok(Join {
        group: GroupId(input.try_get_u64_le()?),
        changed: Epoch(input.try_get_u64_le()?),
        node: take_node(input)?,
        leaving: ReplicaId::from_wire(input.try_get_u64_le()?),
        kind: take_operation_kind(input)?,
        cause: take_text(input)?,
        bytes: input.try_get_u64_le()?,
        now_ms: input.try_get_u64_le()?,
    })
}
