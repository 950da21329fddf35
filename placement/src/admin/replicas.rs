//! Admin calls about placement's own replicas.

use std::sync::Arc;

use ringkv_placement_core::command::{Command, MembersCommand};
use ringkv_placement_core::requests::is_host_port;
use ringkv_proto::v1::{
    AddReplicaReply, AddReplicaRequest, ListReplicasReply, RemoveReplicaReply, RemoveReplicaRequest,
};
use ringkv_topology::ReplicaId;
use tonic::Status;

use crate::admin::Admin;
use crate::peer_calls;

impl Admin {
    /// As the leader sees them, if it can be asked; else as this replica does.
    pub(super) async fn replicas(&self) -> ListReplicasReply {
        let member = &self.member;
        if !member.replica.leads() {
            let leader = member.replica.leader().and_then(|leader| member.addresses.get(leader));
            if let Some(address) = leader
                && let Some((_, reply)) = peer_calls::describe(&address).await
            {
                return ListReplicasReply { group: reply.group };
            }
        }
        ListReplicasReply { group: Some(member.group()) }
    }

    pub(super) async fn add(&self, request: AddReplicaRequest) -> Result<AddReplicaReply, Status> {
        let AddReplicaRequest { address } = request;
        if !is_host_port(&address) {
            let message = format!("address: `{}` is not host:port", address.escape_debug());
            return Err(Status::invalid_argument(message));
        }
        self.done(Command::Members(MembersCommand::Invite { address })).await?;
        Ok(AddReplicaReply {})
    }

    pub(super) async fn remove(
        &self,
        request: RemoveReplicaRequest,
    ) -> Result<RemoveReplicaReply, Status> {
        let RemoveReplicaRequest { replica, address } = request;
        let state = Arc::clone(&self.member.state.borrow());
        let meant = state.members().find(ReplicaId::from_wire(replica), &address);
        let command = match (meant, ReplicaId::from_wire(replica)) {
            (Some(replica), _) | (None, Some(replica)) => MembersCommand::Remove { replica },
            (None, None) => MembersCommand::Uninvite { address },
        };
        self.done(Command::Members(command)).await?;
        Ok(RemoveReplicaReply {})
    }
}
