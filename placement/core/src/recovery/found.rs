//! What one storage node has, as its admin service says.

use ringkv_proto::topology::{InvalidTopology, from_proto};
use ringkv_proto::v1::{self, MemberRole};
use ringkv_topology::{ClusterId, Epoch, GroupId, NodeId, Replica, ReplicaId, Role, Topology};

/// A storage node that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFound {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub address: String,
    pub topology: Option<Topology>,
    pub groups: Vec<GroupFound>,
}

/// A replica on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFound {
    pub group: GroupId,
    pub replica: ReplicaId,
    pub term: u64,
    /// The epoch of the change that made the members in force, and the members.
    pub members_epoch: Epoch,
    pub replicas: Vec<Replica>,
}

impl NodeFound {
    /// Reads the answer of a node; `None` if it has no identity yet.
    ///
    /// # Errors
    /// Its topology is invalid.
    pub fn read(status: &v1::StatusReply) -> Result<Option<Self>, InvalidTopology> {
        let identity = ClusterId::from_wire(status.cluster).zip(NodeId::from_wire(status.node));
        let Some((cluster, node)) = identity else { return Ok(None) };
        let topology = status.topology.as_ref().map(from_proto).transpose()?;
        let groups = status.groups.iter().filter_map(group).collect();
        Ok(Some(Self { cluster, node, address: status.address.clone(), topology, groups }))
    }
}

fn group(status: &v1::GroupStatus) -> Option<GroupFound> {
    let replica = |member: &v1::GroupMember| {
        let role = match member.role() {
            MemberRole::Voter => Role::Voter,
            MemberRole::Outgoing => Role::Leaving,
            MemberRole::Learner | MemberRole::Unspecified => Role::Learner,
        };
        let id = ReplicaId::from_wire(member.replica)?;
        Some(Replica { id, node: NodeId::from_wire(member.node)?, role })
    };
    Some(GroupFound {
        group: GroupId::from_wire(status.group)?,
        replica: ReplicaId::from_wire(status.replica)?,
        term: status.term,
        members_epoch: Epoch(status.members_epoch),
        replicas: status.members.iter().filter_map(replica).collect(),
    })
}
