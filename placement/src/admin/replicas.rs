//! Admin calls about placement's own replicas.

use std::sync::Arc;

use ringkv_placement_core::command::{Command, MembersCommand};
use ringkv_placement_core::requests::is_host_port;
use ringkv_proto::v1::{
    AddReplicaReply, AddReplicaRequest, ListReplicasReply, ListReplicasRequest, RemoveReplicaReply,
    RemoveReplicaRequest,
};
use ringkv_services::v1::placement_admin_server::PlacementAdmin;
use ringkv_topology::ReplicaId;
use tonic::{Request, Response, Status};

use crate::admin::Admin;
use crate::peer_calls;

#[tonic::async_trait]
impl PlacementAdmin for Admin {
    /// As the leader sees them, if it can be asked; else as this replica does.
    async fn list_replicas(
        &self,
        _request: Request<ListReplicasRequest>,
    ) -> Result<Response<ListReplicasReply>, Status> {
        let member = &self.member;
        if !member.replica.leads() {
            let leader = member.replica.leader().and_then(|leader| member.addresses.get(leader));
            if let Some(address) = leader
                && let Some((_, reply)) = peer_calls::describe(&address).await
            {
                return Ok(Response::new(ListReplicasReply { group: reply.group }));
            }
        }
        Ok(Response::new(ListReplicasReply { group: Some(member.group()) }))
    }

    async fn add_replica(
        &self,
        request: Request<AddReplicaRequest>,
    ) -> Result<Response<AddReplicaReply>, Status> {
        let AddReplicaRequest { address } = request.into_inner();
        if !is_host_port(&address) {
            let message = format!("address: `{}` is not host:port", address.escape_debug());
            return Err(Status::invalid_argument(message));
        }
        self.done(Command::Members(MembersCommand::Invite { address })).await?;
        Ok(Response::new(AddReplicaReply {}))
    }

    async fn remove_replica(
        &self,
        request: Request<RemoveReplicaRequest>,
    ) -> Result<Response<RemoveReplicaReply>, Status> {
        let RemoveReplicaRequest { replica, address } = request.into_inner();
        let state = Arc::clone(&self.member.state.borrow());
        let meant = state.members().find(ReplicaId::from_wire(replica), &address);
        let command = match (meant, ReplicaId::from_wire(replica)) {
            (Some(replica), _) | (None, Some(replica)) => MembersCommand::Remove { replica },
            (None, None) => MembersCommand::Uninvite { address },
        };
        self.done(Command::Members(command)).await?;
        Ok(Response::new(RemoveReplicaReply {}))
    }
}
