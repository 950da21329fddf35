//! What a replica reports of itself: its role, its leader, and how far everyone is.

use raft::StateRole;
use ringkv_topology::{NodeId, ReplicaId};

use crate::core::group::Group;
use crate::position::{LogIndex, Term};
use crate::types::{GroupStatus, PeerStatus, Role};

impl Group {
    pub(crate) fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    /// Whether this replica leads and its state can be served.
    pub(super) fn serves(&self) -> bool {
        self.role() == Role::Leader && !self.snapshots.has_diverged()
    }

    /// The node of the leader, as far as known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.node_of(ReplicaId(self.raw.raft.leader_id))
    }

    pub(crate) fn status(&self) -> GroupStatus {
        let raft = &self.raw.raft;
        let last_index = self.raw.store().last();
        let mut peers: Vec<PeerStatus> = Vec::new();
        if self.role() == Role::Leader {
            peers.extend(self.members.nodes.iter().filter(|(r, _)| **r != self.replica).map(
                |(replica, node)| {
                    let progress = raft.prs().get(replica.0);
                    let matched = progress.map_or(LogIndex::ZERO, |p| LogIndex(p.matched));
                    PeerStatus {
                        node: *node,
                        replica: *replica,
                        matched,
                        lag_entries: last_index.entries_after(matched),
                        recently_active: self.activity.is_active(*replica),
                        voter: self.members.is_voter(*replica),
                    }
                },
            ));
        }
        GroupStatus {
            group: self.id,
            replica: self.replica,
            role: self.role(),
            term: Term(raft.term),
            leader: self.leader(),
            commit_index: LogIndex(raft.raft_log.committed),
            applied_index: self.cursor.applied(),
            first_index: self.raw.store().start().index.next(),
            last_index,
            members: self.reported.get(),
            peers,
        }
    }

    pub(super) fn node_of(&self, replica: ReplicaId) -> Option<NodeId> {
        self.members.node_of(replica).or_else(|| self.unknown_peers.node_of(replica))
    }
}
