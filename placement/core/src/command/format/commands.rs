//! The bytes of commands, which rest in placement's log. Owns the numbers of their kinds, which are
//! never reused, up to 19; those from 20 on are in `replicas` and `operations`.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_topology::{
    ClusterId, Epoch, GroupId, NodeId, PlannedGroup, ReadMode, Settings, SlotCount,
};

use crate::command::format::{
    begin, ended, members, put_ids, put_length, put_text, take_flag, take_ids, take_kind,
    take_node, take_secret, take_text, unknown_kind,
};
use crate::command::{Claim, Command, Incarnation, OperationCommand, Registration, ReplicaCommand};

const INIT: u8 = 1;
const REGISTER: u8 = 2;
const BOOTSTRAP: u8 = 3;

const READ_INDEX: u8 = 0;
const LEASE: u8 = 1;

impl Command {
    /// The bytes that go into the log.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Init { cluster, settings } => {
                let mut out = begin(INIT);
                out.put_u64_le(cluster.0);
                put_settings(&mut out, settings);
                out.into()
            }
            Self::Register { registration, secret, displaces } => {
                let mut out = begin(REGISTER);
                put_registration(&mut out, registration);
                out.put_slice(secret.bytes());
                put_length(&mut out, displaces.len());
                for incarnation in displaces {
                    out.put_u64_le(incarnation.node.0);
                    out.put_u64_le(incarnation.number);
                }
                out.into()
            }
            Self::Bootstrap { planned_at, groups, owners, now_ms } => {
                let mut out = begin(BOOTSTRAP);
                out.put_u64_le(planned_at.0);
                put_length(&mut out, groups.len());
                for group in groups {
                    out.put_u64_le(group.id.0);
                    put_ids(&mut out, group.nodes.iter().map(|node| node.0));
                }
                put_ids(&mut out, owners.iter().map(|owner| owner.0));
                out.put_u64_le(*now_ms);
                out.into()
            }
            Self::Replicas(command) => command.encode(),
            Self::Operation(command) => command.encode(),
            Self::Members(command) => members::put(command).into(),
        }
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// The bytes are not a command of this version: the replica must stop.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = bytes;
        let input = &mut cursor;
        let command = match take_kind(input)? {
            INIT => Self::Init { cluster: take_cluster(input)?, settings: take_settings(input)? },
            REGISTER => Self::Register {
                registration: take_registration(input)?,
                secret: take_secret(input)?,
                displaces: take_incarnations(input)?,
            },
            BOOTSTRAP => Self::Bootstrap {
                planned_at: Epoch(input.try_get_u64_le()?),
                groups: take_groups(input)?,
                owners: take_ids(input)?.into_iter().map(GroupId).collect(),
                now_ms: input.try_get_u64_le()?,
            },
            kind @ ReplicaCommand::FIRST_KIND..=ReplicaCommand::LAST_KIND => {
                Self::Replicas(ReplicaCommand::take(kind, input)?)
            }
            kind @ OperationCommand::FIRST_KIND..=OperationCommand::LAST_KIND => {
                Self::Operation(OperationCommand::take(kind, input)?)
            }
            kind if members::owns(kind) => Self::Members(members::take(kind, input)?),
            _ => return Err(unknown_kind()),
        };
        ended(input)?;
        Ok(command)
    }
}

/// Zero is never an id: an image with such a cluster would not load again.
fn take_cluster(input: &mut &[u8]) -> Result<ClusterId, DecodeError> {
    ClusterId::from_wire(input.try_get_u64_le()?).ok_or(DecodeError::Implausible("cluster"))
}

fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    out.put_u16_le(settings.slot_count.get());
    out.put_u8(settings.replication_factor);
    out.put_u32_le(settings.value_bytes_max);
    out.put_u8(match settings.read_mode {
        ReadMode::ReadIndex => READ_INDEX,
        ReadMode::Lease => LEASE,
    });
}

fn take_settings(input: &mut &[u8]) -> Result<Settings, DecodeError> {
    let slot_count = SlotCount::new(input.try_get_u16_le()?.into());
    Ok(Settings {
        slot_count: slot_count.ok_or(DecodeError::Implausible("slot count"))?,
        replication_factor: match input.try_get_u8()? {
            factor @ (1 | 3 | 5) => factor,
            _ => return Err(DecodeError::Implausible("replication factor")),
        },
        value_bytes_max: input.try_get_u32_le()?,
        read_mode: match input.try_get_u8()? {
            READ_INDEX => ReadMode::ReadIndex,
            LEASE => ReadMode::Lease,
            _ => return Err(DecodeError::Implausible("read mode")),
        },
    })
}

fn put_registration(out: &mut Vec<u8>, registration: &Registration) {
    out.put_u8(registration.claim.is_some().into());
    if let Some(Claim { cluster, node, secret }) = &registration.claim {
        out.put_u64_le(cluster.0);
        out.put_u64_le(node.0);
        out.put_slice(secret.bytes());
    }
    put_text(out, &registration.address);
    put_text(out, &registration.zone);
    out.put_u32_le(registration.capacity);
    out.put_u64_le(registration.incarnation);
    out.put_u64_le(registration.starts);
    out.put_u8(registration.directory.is_some().into());
    if let Some(directory) = registration.directory {
        out.put_u64_le(directory);
    }
}

fn take_registration(input: &mut &[u8]) -> Result<Registration, DecodeError> {
    let claim = match take_flag(input)? {
        false => None,
        true => Some(Claim {
            cluster: take_cluster(input)?,
            node: take_node(input)?,
            secret: take_secret(input)?,
        }),
    };
    Ok(Registration {
        claim,
        address: take_text(input)?,
        zone: take_text(input)?,
        capacity: input.try_get_u32_le()?,
        incarnation: input.try_get_u64_le()?,
        starts: input.try_get_u64_le()?,
        directory: if take_flag(input)? { Some(input.try_get_u64_le()?) } else { None },
    })
}

fn take_incarnations(input: &mut &[u8]) -> Result<Vec<Incarnation>, DecodeError> {
    let count = input.try_get_u32_le()?;
    // Not allocated ahead, as with groups.
    let incarnation =
        |_| Ok(Incarnation { node: take_node(input)?, number: input.try_get_u64_le()? });
    (0..count).map(incarnation).collect()
}

fn take_groups(input: &mut &[u8]) -> Result<Vec<PlannedGroup>, DecodeError> {
    let groups = input.try_get_u32_le()?;
    // Not allocated ahead: the length may be damaged, and each group takes bytes of the input.
    let group = |_| {
        let id = GroupId(input.try_get_u64_le()?);
        Ok(PlannedGroup { id, nodes: take_ids(input)?.into_iter().map(NodeId).collect() })
    };
    (0..groups).map(group).collect()
}
