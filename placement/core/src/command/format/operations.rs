//! The bytes of operators' requests and of kinds of operations. Owns the numbers 30 to 49 of the
//! command kinds, and those of the kinds of operations: neither is ever reused.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;

use crate::command::OperationCommand;
use crate::command::format::{begin, put_text, take_node, take_text, unknown_kind};
use crate::operation::{OperationId, OperationKind};

const DRAIN_NODE: u8 = 30;
const UNDRAIN_NODE: u8 = 31;
const REPLACE_NODE: u8 = 32;
const FORGET_NODE: u8 = 33;
const SET_SETTING: u8 = 34;
const ABORT: u8 = 35;
const END: u8 = 36;

const BOOTSTRAP: u8 = 1;
const NODE_JOINED: u8 = 2;
const NODE_DRAIN: u8 = 3;
const NODE_REPLACE: u8 = 4;
const NODE_LOST: u8 = 5;
const REBALANCE: u8 = 6;
const SETTINGS_SET: u8 = 7;
const PLACEMENT_JOINS: u8 = 8;
const PLACEMENT_LEAVES: u8 = 9;

impl OperationCommand {
    pub(super) const FIRST_KIND: u8 = DRAIN_NODE;
    pub(super) const LAST_KIND: u8 = END;

    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::DrainNode { node, now_ms } => numbers(DRAIN_NODE, &[node.0, *now_ms]),
            Self::UndrainNode { node, now_ms } => numbers(UNDRAIN_NODE, &[node.0, *now_ms]),
            Self::ReplaceNode { old, new, now_ms } => {
                numbers(REPLACE_NODE, &[old.0, new.0, *now_ms])
            }
            Self::ForgetNode { node } => numbers(FORGET_NODE, &[node.0]),
            Self::SetSetting { name, value, now_ms } => {
                let mut out = begin(SET_SETTING);
                put_text(&mut out, name);
                put_text(&mut out, value);
                out.put_u64_le(*now_ms);
                out.into()
            }
            Self::Abort { operation, now_ms } => numbers(ABORT, &[operation.0, *now_ms]),
            Self::End { operation, now_ms } => numbers(END, &[operation.0, *now_ms]),
        }
    }

    /// The command of a kind, after its version and kind.
    pub(super) fn take(kind: u8, input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(match kind {
            DRAIN_NODE => {
                Self::DrainNode { node: take_node(input)?, now_ms: input.try_get_u64_le()? }
            }
            UNDRAIN_NODE => {
                Self::UndrainNode { node: take_node(input)?, now_ms: input.try_get_u64_le()? }
            }
            REPLACE_NODE => Self::ReplaceNode {
                old: take_node(input)?,
                new: take_node(input)?,
                now_ms: input.try_get_u64_le()?,
            },
            FORGET_NODE => Self::ForgetNode { node: take_node(input)? },
            SET_SETTING => Self::SetSetting {
                name: take_text(input)?,
                value: take_text(input)?,
                now_ms: input.try_get_u64_le()?,
            },
            ABORT => {
                Self::Abort { operation: take_operation(input)?, now_ms: input.try_get_u64_le()? }
            }
            END => Self::End { operation: take_operation(input)?, now_ms: input.try_get_u64_le()? },
            _ => return Err(unknown_kind()),
        })
    }
}

fn numbers(kind: u8, fields: &[u64]) -> Bytes {
    let mut out = begin(kind);
    fields.iter().for_each(|field| out.put_u64_le(*field));
    out.into()
}

fn take_operation(input: &mut &[u8]) -> Result<OperationId, DecodeError> {
    OperationId::from_wire(input.try_get_u64_le()?).ok_or(DecodeError::Implausible("operation"))
}

/// Writes what an operation does.
pub(super) fn put_operation_kind(out: &mut Vec<u8>, kind: &OperationKind) {
    let mut put = |kind, nodes: &[u64]| {
        out.put_u8(kind);
        nodes.iter().for_each(|node| out.put_u64_le(*node));
    };
    match kind {
        OperationKind::Bootstrap => put(BOOTSTRAP, &[]),
        OperationKind::NodeJoined { node } => put(NODE_JOINED, &[node.0]),
        OperationKind::NodeDrain { node } => put(NODE_DRAIN, &[node.0]),
        OperationKind::NodeReplace { old, new } => put(NODE_REPLACE, &[old.0, new.0]),
        OperationKind::NodeLost { node } => put(NODE_LOST, &[node.0]),
        OperationKind::Rebalance => put(REBALANCE, &[]),
        OperationKind::SettingsSet { name, value } => {
            put(SETTINGS_SET, &[]);
            put_text(out, name);
            put_text(out, value);
        }
        OperationKind::PlacementMember { member, joins: true } => put(PLACEMENT_JOINS, &[member.0]),
        OperationKind::PlacementMember { member, joins: false } => {
            put(PLACEMENT_LEAVES, &[member.0]);
        }
    }
}

/// The reverse of [`put_operation_kind`].
pub(super) fn take_operation_kind(input: &mut &[u8]) -> Result<OperationKind, DecodeError> {
    Ok(match input.try_get_u8()? {
        BOOTSTRAP => OperationKind::Bootstrap,
        NODE_JOINED => OperationKind::NodeJoined { node: take_node(input)? },
        NODE_DRAIN => OperationKind::NodeDrain { node: take_node(input)? },
        NODE_REPLACE => {
            OperationKind::NodeReplace { old: take_node(input)?, new: take_node(input)? }
        }
        NODE_LOST => OperationKind::NodeLost { node: take_node(input)? },
        REBALANCE => OperationKind::Rebalance,
        SETTINGS_SET => {
            OperationKind::SettingsSet { name: take_text(input)?, value: take_text(input)? }
        }
        PLACEMENT_JOINS => {
            OperationKind::PlacementMember { member: take_node(input)?, joins: true }
        }
        PLACEMENT_LEAVES => {
            OperationKind::PlacementMember { member: take_node(input)?, joins: false }
        }
        _ => return Err(DecodeError::Implausible("operation kind")),
    })
}
