//! The membership of a group: which replicas vote or learn, on which nodes, also in between.
//!
//! Owns the value and its bytes (in the log, with the applied index, in snapshots). It is
//! changed only by applying a committed change; learners never count towards a quorum.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut};
use ringkv_topology::{Epoch, NodeId, ReplicaId};

use crate::codec::DecodeError;

/// A configuration, joint while `outgoing` is not empty (Raft §6, Ongaro's thesis §4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Replicas with a vote.
    pub voters: Vec<ReplicaId>,
    /// Replicas that receive the log and do not vote.
    pub learners: Vec<ReplicaId>,
    /// Voters of the old configuration, whose majority counts too until it is left.
    pub outgoing: Vec<ReplicaId>,
    /// Become learners when the joint configuration is left.
    pub learners_next: Vec<ReplicaId>,
    /// Whether the leader leaves the joint configuration by itself.
    pub auto_leave: bool,
    /// The node of each replica named above.
    pub nodes: BTreeMap<ReplicaId, NodeId>,
    /// The epoch of the last change: one of an older epoch is not made, so that a leader with an old
    /// view of the group cannot bring a replica back.
    pub epoch: Epoch,
}

/// A change to propose: all of it takes effect at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChange {
    /// Become voters; learners among them are promoted.
    pub add_voters: Vec<(ReplicaId, NodeId)>,
    /// Become learners.
    pub add_learners: Vec<(ReplicaId, NodeId)>,
    /// Leave the group; nothing happens to one that is no member.
    pub remove: Vec<ReplicaId>,
    /// The epoch that asks for the change, noted with the members.
    pub epoch: Epoch,
}

impl Members {
    /// A plain configuration of voters.
    pub fn of_voters(voters: impl IntoIterator<Item = (ReplicaId, NodeId)>) -> Self {
        let nodes: BTreeMap<_, _> = voters.into_iter().collect();
        Self { voters: nodes.keys().copied().collect(), nodes, ..Self::default() }
    }

    /// The same as of an epoch.
    #[must_use]
    pub fn as_of(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    /// Whether two configurations are in force, both of which must agree.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The node of a replica of this configuration.
    pub fn node_of(&self, replica: ReplicaId) -> Option<NodeId> {
        self.nodes.get(&replica).copied()
    }

    /// Whether the replica has a vote in either half.
    pub fn is_voter(&self, replica: ReplicaId) -> bool {
        self.voters.contains(&replica) || self.outgoing.contains(&replica)
    }

    /// Appends the bytes of the value, without a version: its container has one.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for ids in [&self.voters, &self.learners, &self.outgoing, &self.learners_next] {
            put_len(out, ids.len());
            ids.iter().for_each(|id| out.put_u64_le(id.0));
        }
        out.put_u8(u8::from(self.auto_leave));
        put_len(out, self.nodes.len());
        for (replica, node) in &self.nodes {
            out.put_u64_le(replica.0);
            out.put_u64_le(node.0);
        }
        out.put_u64_le(self.epoch.0);
    }

    /// Takes the bytes of one value from the front of `input`.
    ///
    /// # Errors
    /// `DecodeError` when they end early or a count is not plausible.
    pub fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut lists = [const { Vec::new() }; 4];
        for list in &mut lists {
            for _ in 0..take_len(input)? {
                list.push(ReplicaId(input.try_get_u64_le()?));
            }
        }
        let [voters, learners, outgoing, learners_next] = lists;
        let auto_leave = input.try_get_u8()? != 0;
        let mut nodes = BTreeMap::new();
        for _ in 0..take_len(input)? {
            nodes.insert(ReplicaId(input.try_get_u64_le()?), NodeId(input.try_get_u64_le()?));
        }
        let epoch = Epoch(input.try_get_u64_le()?);
        Ok(Self { voters, learners, outgoing, learners_next, auto_leave, nodes, epoch })
    }
}

impl MembersChange {
    /// The bytes carried in the log next to Raft's own description of the change.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for added in [&self.add_voters, &self.add_learners] {
            put_len(&mut out, added.len());
            for (replica, node) in added {
                out.put_u64_le(replica.0);
                out.put_u64_le(node.0);
            }
        }
        put_len(&mut out, self.remove.len());
        self.remove.iter().for_each(|id| out.put_u64_le(id.0));
        out.put_u64_le(self.epoch.0);
        out
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// `DecodeError` when the bytes end early, go on too long, or a count is not plausible.
    pub fn decode(mut input: &[u8]) -> Result<Self, DecodeError> {
        let input = &mut input;
        let mut lists = [const { Vec::new() }; 2];
        for list in &mut lists {
            for _ in 0..take_len(input)? {
                let replica = ReplicaId(input.try_get_u64_le()?);
                list.push((replica, NodeId(input.try_get_u64_le()?)));
            }
        }
        let [add_voters, add_learners] = lists;
        let mut remove = Vec::new();
        for _ in 0..take_len(input)? {
            remove.push(ReplicaId(input.try_get_u64_le()?));
        }
        let epoch = Epoch(input.try_get_u64_le()?);
        if !input.is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(Self { add_voters, add_learners, remove, epoch })
    }
}

/// More replicas than any group has; a larger count means damaged bytes.
const REPLICAS_MAX: u16 = 64;

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u16::try_from(len).expect("a group has few replicas");
    assert!(len <= REPLICAS_MAX, "a group has at most {REPLICAS_MAX} replicas");
    out.put_u16_le(len);
}

fn take_len(input: &mut &[u8]) -> Result<u16, DecodeError> {
    let len = input.try_get_u16_le()?;
    if len > REPLICAS_MAX { Err(DecodeError::Implausible("replica count")) } else { Ok(len) }
}
