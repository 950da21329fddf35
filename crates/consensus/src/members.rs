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

    /// Whether the replica alone is a majority of every half.
    pub fn is_only_voter(&self, replica: ReplicaId) -> bool {
        self.voters == [replica] && self.outgoing.iter().all(|outgoing| *outgoing == replica)
    }

    /// Whether a committed change may be made: it is of a newer epoch, or ends a joint configuration.
    pub(crate) fn admits(&self, change: &MembersChange) -> bool {
        change.epoch > self.epoch || (self.is_joint() && change.is_leave())
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
    /// Whether it names no replica: such a change leaves a joint configuration.
    pub(crate) fn is_leave(&self) -> bool {
        self.add_voters.is_empty() && self.add_learners.is_empty() && self.remove.is_empty()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(epoch: u64) -> MembersChange {
        let remove = vec![ReplicaId(2)];
        MembersChange { remove, epoch: Epoch(epoch), ..MembersChange::default() }
    }

    #[test]
    fn a_change_of_an_epoch_that_is_not_newer_is_not_made() {
        let members = Members::default().as_of(Epoch(7));
        assert!(!members.admits(&removal(6)) && !members.admits(&removal(7)));
        assert!(members.admits(&removal(8)));
    }

    #[test]
    fn a_joint_configuration_is_left_in_any_epoch() {
        let leave = MembersChange { epoch: Epoch(7), ..MembersChange::default() };
        let plain = Members::default().as_of(Epoch(7));
        assert!(!plain.admits(&leave));
        let joint = Members { outgoing: vec![ReplicaId(1)], ..plain };
        assert!(joint.admits(&leave) && !joint.admits(&removal(7)));
    }

    #[test]
    fn the_only_voter_is_so_in_both_halves() {
        let members = |voters: &[u64], outgoing: &[u64]| {
            let ids = |list: &[u64]| list.iter().map(|id| ReplicaId(*id)).collect();
            Members { voters: ids(voters), outgoing: ids(outgoing), ..Members::default() }
        };
        assert!(members(&[1], &[]).is_only_voter(ReplicaId(1)));
        assert!(members(&[1], &[1]).is_only_voter(ReplicaId(1)), "only learners changed");
        assert!(!members(&[1], &[1, 2]).is_only_voter(ReplicaId(1)));
        assert!(!members(&[1, 2], &[]).is_only_voter(ReplicaId(1)));
        assert!(!members(&[], &[]).is_only_voter(ReplicaId(1)));
    }
}
