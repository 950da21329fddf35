//! The bytes of results, which the engine returns to the proposer of a command. Owns the numbers
//! of their kinds, which are never reused.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_topology::{ClusterId, Epoch, NodeId, ReplicaId};

use crate::command::format::{
    begin, ended, members, put_text, take_flag, take_kind, take_secret, take_text,
};
use crate::command::{AddressHolder, CommandResult, Refusal};
use crate::operation::OperationId;

const INITIALIZED: u8 = 1;
const REGISTERED: u8 = 2;
const BOOTSTRAPPED: u8 = 3;
const NOT_INITIALIZED: u8 = 4;
const WRONG_CLUSTER: u8 = 5;
const UNKNOWN_NODE: u8 = 6;
const NODE_REMOVED: u8 = 7;
const TOO_MANY_NODES: u8 = 8;
const STALE: u8 = 9;
const IMPOSSIBLE: u8 = 10;
const CHANGED: u8 = 20;
const BEGAN: u8 = 21;
const NO_SUCH_NODE: u8 = 22;
const NOT_RUNNING: u8 = 23;
const INVALID_SETTING: u8 = 24;
const CONFLICT: u8 = 25;
const REPLICA_ADMITTED: u8 = 50;
const MEMBERS_CHANGED: u8 = 51;
const WRONG_SECRET: u8 = 11;
const OLDER_COPY: u8 = 12;
const NOT_REGISTERED: u8 = 13;

impl CommandResult {
    /// The bytes that the engine returns to the proposer of the command.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Initialized => begin(INITIALIZED).into(),
            Self::Registered { cluster, node, slot_count, secret, holder } => {
                let mut out = begin(REGISTERED);
                out.put_u64_le(cluster.0);
                out.put_u64_le(node.0);
                out.put_u32_le(*slot_count);
                out.put_u8(secret.is_some().into());
                out.put_slice(secret.as_ref().map_or(&[][..], |secret| secret.bytes()));
                out.put_u8(holder.is_some().into());
                if let Some(AddressHolder { node, replicas }) = holder {
                    out.put_u64_le(node.0);
                    out.put_u32_le(*replicas);
                }
                out.into()
            }
            Self::Bootstrapped { epoch } => with_number(BOOTSTRAPPED, epoch.0),
            Self::Changed { epoch } => with_number(CHANGED, epoch.0),
            Self::Began { operation } => with_number(BEGAN, operation.0),
            Self::ReplicaAdmitted { replica } => with_number(REPLICA_ADMITTED, replica.0),
            Self::MembersChanged => begin(MEMBERS_CHANGED).into(),
            Self::Refused(refusal) => encode_refusal(refusal),
        }
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// The bytes are not a result of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = bytes;
        let input = &mut cursor;
        let result = match take_kind(input)? {
            INITIALIZED => Self::Initialized,
            REGISTERED => Self::Registered {
                cluster: ClusterId(input.try_get_u64_le()?),
                node: NodeId(input.try_get_u64_le()?),
                slot_count: input.try_get_u32_le()?,
                secret: if take_flag(input)? { Some(take_secret(input)?) } else { None },
                holder: if take_flag(input)? { Some(take_holder(input)?) } else { None },
            },
            BOOTSTRAPPED => Self::Bootstrapped { epoch: Epoch(input.try_get_u64_le()?) },
            CHANGED => Self::Changed { epoch: Epoch(input.try_get_u64_le()?) },
            BEGAN => Self::Began { operation: OperationId(input.try_get_u64_le()?) },
            REPLICA_ADMITTED => {
                Self::ReplicaAdmitted { replica: ReplicaId(input.try_get_u64_le()?) }
            }
            MEMBERS_CHANGED => Self::MembersChanged,
            other => Self::Refused(take_refusal(other, input)?),
        };
        ended(input)?;
        Ok(result)
    }
}

fn encode_refusal(refusal: &Refusal) -> Bytes {
    match refusal {
        Refusal::NotInitialized => begin(NOT_INITIALIZED).into(),
        Refusal::WrongCluster { ours, theirs } => {
            let mut out = begin(WRONG_CLUSTER);
            out.put_u64_le(ours.0);
            out.put_u64_le(theirs.0);
            out.into()
        }
        Refusal::UnknownNode { node } => with_number(UNKNOWN_NODE, node.0),
        Refusal::NodeRemoved { node } => with_number(NODE_REMOVED, node.0),
        Refusal::TooManyNodes { max } => {
            let mut out = begin(TOO_MANY_NODES);
            out.put_u32_le(*max);
            out.into()
        }
        Refusal::Stale => begin(STALE).into(),
        Refusal::Impossible(problem) => with_text(IMPOSSIBLE, problem),
        Refusal::NoSuchNode { node } => with_number(NO_SUCH_NODE, node.0),
        Refusal::NotRunning { operation } => with_number(NOT_RUNNING, operation.0),
        Refusal::InvalidSetting(problem) => with_text(INVALID_SETTING, problem),
        Refusal::Conflict(problem) => with_text(CONFLICT, problem),
        Refusal::Members(refusal) => members::put_refusal(refusal).into(),
        Refusal::WrongSecret { node } => with_number(WRONG_SECRET, node.0),
        Refusal::OlderCopy { node, starts, seen } => {
            let mut out = begin(OLDER_COPY);
            out.put_u64_le(node.0);
            out.put_u64_le(*starts);
            out.put_u64_le(*seen);
            out.into()
        }
        Refusal::NotRegistered { node, address } => {
            let mut out = begin(NOT_REGISTERED);
            out.put_u64_le(node.0);
            put_text(&mut out, address);
            out.into()
        }
    }
}

fn with_number(kind: u8, number: u64) -> Bytes {
    let mut out = begin(kind);
    out.put_u64_le(number);
    out.into()
}

fn with_text(kind: u8, text: &str) -> Bytes {
    let mut out = begin(kind);
    put_text(&mut out, text);
    out.into()
}

fn take_holder(input: &mut &[u8]) -> Result<AddressHolder, DecodeError> {
    let node = NodeId(input.try_get_u64_le()?);
    Ok(AddressHolder { node, replicas: input.try_get_u32_le()? })
}

fn take_refusal(kind: u8, input: &mut &[u8]) -> Result<Refusal, DecodeError> {
    Ok(match kind {
        NOT_INITIALIZED => Refusal::NotInitialized,
        WRONG_CLUSTER => Refusal::WrongCluster {
            ours: ClusterId(input.try_get_u64_le()?),
            theirs: ClusterId(input.try_get_u64_le()?),
        },
        UNKNOWN_NODE => Refusal::UnknownNode { node: NodeId(input.try_get_u64_le()?) },
        NODE_REMOVED => Refusal::NodeRemoved { node: NodeId(input.try_get_u64_le()?) },
        TOO_MANY_NODES => Refusal::TooManyNodes { max: input.try_get_u32_le()? },
        STALE => Refusal::Stale,
        IMPOSSIBLE => Refusal::Impossible(take_text(input)?),
        NO_SUCH_NODE => Refusal::NoSuchNode { node: NodeId(input.try_get_u64_le()?) },
        NOT_RUNNING => Refusal::NotRunning { operation: OperationId(input.try_get_u64_le()?) },
        INVALID_SETTING => Refusal::InvalidSetting(take_text(input)?),
        CONFLICT => Refusal::Conflict(take_text(input)?),
        WRONG_SECRET => Refusal::WrongSecret { node: NodeId(input.try_get_u64_le()?) },
        OLDER_COPY => Refusal::OlderCopy {
            node: NodeId(input.try_get_u64_le()?),
            starts: input.try_get_u64_le()?,
            seen: input.try_get_u64_le()?,
        },
        NOT_REGISTERED => Refusal::NotRegistered {
            node: NodeId(input.try_get_u64_le()?),
            address: take_text(input)?,
        },
        kind if members::owns(kind) => Refusal::Members(members::take_refusal(kind, input)?),
        _ => return Err(DecodeError::Implausible("result kind")),
    })
}
