//! The whole state machine of a placement replica: the state and its applied position.
//!
//! One value with one encoding, used on disk, as a snapshot and in the simulation. Invariant
//! (I-5): state and applied position always belong together.
//! Layout: version u8, length of applied state u32 LE, applied state, state (protobuf), CRC-32.

mod operations;
mod stored_members;

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use ringkv_consensus::{AppliedState, Genesis, GroupBatch, MachineError};
use ringkv_proto::topology::{from_proto, to_proto};
use ringkv_proto::v1;
use ringkv_topology::{GroupId, NodeId, NodeSecret};

use crate::command::Command;
use crate::image::operations::{StoredMove, StoredOperations, StoredRemoved};
use crate::image::stored_members::StoredMembers;
use crate::state::{Cluster, Fence, State};

/// The one group of placement.
pub const GROUP: GroupId = GroupId(1);

const VERSION: u8 = 1;

/// The first byte of a genesis context; a state (protobuf) follows.
const CONTEXT_VERSION: u8 = 1;

/// State and applied position, changed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// `None` until genesis.
    applied: Option<AppliedState>,
    state: State,
}

impl Image {
    /// How far the log is applied; `None` until genesis.
    pub fn applied(&self) -> Option<&AppliedState> {
        self.applied.as_ref()
    }

    /// The replicated state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Starts at genesis: from the state in its context, else with the members only.
    ///
    /// # Errors
    /// The context is not a state of this version.
    pub fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError> {
        let state = if genesis.context.is_empty() {
            State::of_members(&genesis.members)
        } else {
            State::from_context(&genesis.context)?
        };
        *self = Self { applied: Some(genesis.applied()), state };
        Ok(())
    }

    /// Applies committed entries. Returns one encoded result per command, by entry.
    ///
    /// # Errors
    /// Entries of another group, entries out of order, or a command of an unknown version: the
    /// replica must stop, because its state would differ from the others.
    pub fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError> {
        let mut results = Vec::new();
        for batch in batches {
            let Some(applied) = self.applied.as_mut().filter(|_| batch.group == GROUP) else {
                let group = batch.group;
                return Err(MachineError::corrupt(format!(
                    "apply to group {group}: no such group here"
                )));
            };
            for entry in &batch.entries {
                if entry.index <= applied.position.index {
                    let (index, at) = (entry.index, applied.position.index);
                    let context = format!("apply entry {index}: already applied up to {at}");
                    return Err(MachineError::corrupt(context));
                }
                let commands = entry.commands.iter().flat_map(|batch| batch.commands());
                let apply = |command: Bytes| {
                    let command = Command::decode(&command).map_err(|source| {
                        MachineError::new(format!("decode entry {}", entry.index), source)
                    })?;
                    Ok(self.state.apply(command).encode())
                };
                results.push(commands.map(apply).collect::<Result<_, MachineError>>()?);
                applied.position.index = entry.index;
            }
            *applied = batch.after.clone();
        }
        Ok(results)
    }

    /// The bytes of the whole image.
    pub fn encode(&self) -> Vec<u8> {
        let applied = self.applied.as_ref().map(AppliedState::encode).unwrap_or_default();
        let mut out = vec![VERSION];
        out.put_u32_le(u32::try_from(applied.len()).expect("an applied state is small"));
        out.put_slice(&applied);
        StoredState::of(&self.state).encode(&mut out).expect("a vector grows as needed");
        let sum = crc32fast::hash(&out);
        out.put_u32_le(sum);
        out
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// Damaged bytes or another version: the replica must not start from them.
    pub fn decode(bytes: &[u8]) -> Result<Self, MachineError> {
        let corrupt = |problem: &str| MachineError::corrupt(format!("read state: {problem}"));
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("truncated"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(corrupt("checksum mismatch"));
        }
        let (version, mut rest) = body.split_first().ok_or_else(|| corrupt("truncated"))?;
        if *version != VERSION {
            return Err(corrupt(&format!(
                "unknown version {version} (this build supports {VERSION})"
            )));
        }
        let length = rest.try_get_u32_le().map_err(|_| corrupt("truncated"))?;
        let split = rest.split_at_checked(length as usize);
        let (applied, stored) = split.ok_or_else(|| corrupt("truncated"))?;
        let applied = match applied {
            [] => None,
            some => Some(AppliedState::decode(some).map_err(|e| malformed("applied state", e))?),
        };
        Ok(Self { applied, state: decode_state(stored)? })
    }
}

impl State {
    /// The context of a genesis that starts from this state.
    pub fn to_context(&self) -> Bytes {
        let mut out = vec![CONTEXT_VERSION];
        StoredState::of(self).encode(&mut out).expect("a vector grows as needed");
        out.into()
    }

    /// The reverse of [`Self::to_context`].
    ///
    /// # Errors
    /// Damaged bytes or another version.
    pub fn from_context(context: &[u8]) -> Result<Self, MachineError> {
        match context.split_first() {
            Some((&CONTEXT_VERSION, stored)) => decode_state(stored),
            _ => Err(MachineError::corrupt("read the genesis: unknown version")),
        }
    }
}

fn decode_state(stored: &[u8]) -> Result<State, MachineError> {
    let stored = StoredState::decode(stored).map_err(|e| malformed("state", e))?;
    Ok(State {
        cluster: stored.cluster.map(StoredCluster::into_cluster).transpose()?,
        members: stored.members.unwrap_or_default().into_members()?,
    })
}

fn malformed(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> MachineError {
    MachineError::new(format!("read {what}"), source)
}

/// Field numbers are never reused: they are on disk.
#[derive(Clone, PartialEq, Message)]
struct StoredState {
    #[prost(message, optional, tag = "1")]
    cluster: Option<StoredCluster>,
    #[prost(message, optional, tag = "30")]
    members: Option<StoredMembers>,
}

impl StoredState {
    fn of(state: &State) -> Self {
        Self {
            cluster: state.cluster.as_ref().map(StoredCluster::of),
            members: Some(StoredMembers::of(&state.members)),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct StoredCluster {
    #[prost(message, optional, tag = "1")]
    topology: Option<v1::Topology>,
    // 2 was the incarnation of each node, without what proves it.
    #[prost(uint64, tag = "3")]
    last_node: u64,
    #[prost(uint64, tag = "4")]
    last_replica: u64,
    #[prost(message, repeated, tag = "20")]
    removed: Vec<StoredRemoved>,
    #[prost(message, repeated, tag = "21")]
    moves: Vec<StoredMove>,
    #[prost(message, optional, tag = "22")]
    operations: Option<StoredOperations>,
    #[prost(message, repeated, tag = "10")]
    fences: Vec<StoredFence>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredFence {
    #[prost(uint64, tag = "1")]
    node: u64,
    #[prost(bytes = "vec", tag = "2")]
    secret: Vec<u8>,
    #[prost(uint64, tag = "3")]
    incarnation: u64,
    #[prost(uint64, tag = "4")]
    starts: u64,
    #[prost(uint64, optional, tag = "5")]
    directory: Option<u64>,
}

impl StoredCluster {
    fn of(cluster: &Cluster) -> Self {
        Self {
            topology: Some(to_proto(&cluster.topology)),
            fences: cluster.fences.iter().map(StoredFence::of).collect(),
            last_node: cluster.last_node,
            last_replica: cluster.last_replica,
            removed: cluster.removed.iter().map(StoredRemoved::of).collect(),
            moves: cluster.moves.iter().map(StoredMove::of).collect(),
            operations: Some(StoredOperations::of(&cluster.operations)),
        }
    }

    fn into_cluster(self) -> Result<Cluster, MachineError> {
        let topology = self.topology.unwrap_or_default();
        Ok(Cluster {
            topology: from_proto(&topology).map_err(|e| malformed("topology", e))?,
            fences: self.fences.iter().map(StoredFence::fence).collect::<Result<_, _>>()?,
            last_node: self.last_node,
            last_replica: self.last_replica,
            removed: self.removed.into_iter().map(StoredRemoved::into_removed).collect(),
            moves: self.moves.into_iter().map(StoredMove::into_move).collect(),
            operations: self.operations.unwrap_or_default().into_operations()?,
        })
    }
}

impl StoredFence {
    fn of((node, fence): (&NodeId, &Fence)) -> Self {
        let Fence { secret, incarnation, starts, directory } = *fence;
        Self { node: node.0, secret: secret.bytes().to_vec(), incarnation, starts, directory }
    }

    fn fence(&self) -> Result<(NodeId, Fence), MachineError> {
        let Self { node, incarnation, starts, directory, .. } = *self;
        let secret = NodeSecret::from_wire(&self.secret)
            .ok_or_else(|| MachineError::corrupt("read state: a secret has not 16 bytes"))?;
        Ok((NodeId(node), Fence { secret, incarnation, starts, directory }))
    }
}

#[cfg(test)]
mod tests;
