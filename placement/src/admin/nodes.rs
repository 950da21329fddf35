//! Admin calls about storage nodes and the operations that move their replicas.

use std::sync::Arc;

use ringkv_placement_core::command::OperationCommand;
use ringkv_placement_core::operation::OperationId;
use ringkv_proto::v1::node_name::Name;
use ringkv_proto::v1::{
    AbortOperationReply, AbortOperationRequest, DrainNodeReply, DrainNodeRequest, NodeName,
    ReplaceNodeReply, ReplaceNodeRequest, UndrainNodeReply, UndrainNodeRequest,
};
use ringkv_topology::NodeId;
use tonic::Status;

use crate::admin::Admin;
use crate::answers::not_applied;
use crate::observed::wall_ms;

impl Admin {
    pub(super) async fn drain(&self, request: DrainNodeRequest) -> Result<DrainNodeReply, Status> {
        let node = self.named("node", request.node)?;
        let command = OperationCommand::DrainNode { node, now_ms: wall_ms() };
        let operation = self.begin(command).await?;
        tracing::info!(%node, %operation, "draining a node");
        Ok(DrainNodeReply { operation: operation.0, node: node.0 })
    }

    pub(super) async fn undrain(
        &self,
        request: UndrainNodeRequest,
    ) -> Result<UndrainNodeReply, Status> {
        let node = self.named("node", request.node)?;
        self.operate(OperationCommand::UndrainNode { node, now_ms: wall_ms() }).await?;
        tracing::info!(%node, "a node may have replicas again");
        Ok(UndrainNodeReply { node: node.0 })
    }

    pub(super) async fn replace(
        &self,
        request: ReplaceNodeRequest,
    ) -> Result<ReplaceNodeReply, Status> {
        let (old, new) = (self.named("old", request.old)?, self.named("new", request.new)?);
        let command = OperationCommand::ReplaceNode { old, new, now_ms: wall_ms() };
        let operation = self.begin(command).await?;
        tracing::info!(%old, %new, %operation, "replacing a node");
        Ok(ReplaceNodeReply { operation: operation.0 })
    }

    pub(super) async fn abort(
        &self,
        request: AbortOperationRequest,
    ) -> Result<AbortOperationReply, Status> {
        let Some(operation) = OperationId::from_wire(request.operation) else {
            return Err(not_applied(Status::invalid_argument("operation: 0 is not an id")));
        };
        self.operate(OperationCommand::Abort { operation, now_ms: wall_ms() }).await?;
        tracing::info!(%operation, "aborted an operation");
        Ok(AbortOperationReply {})
    }

    /// The node of an id or an address; of several at an address, the newest.
    fn named(&self, field: &str, name: Option<NodeName>) -> Result<NodeId, Status> {
        let state = Arc::clone(&self.member.state.borrow());
        let nodes = state.topology().map(|topology| &topology.nodes);
        let mut nodes = nodes.into_iter().flat_map(|nodes| nodes.values().rev());
        let (found, shown) = match name.and_then(|name| name.name) {
            // The leader knows more nodes than this replica may have applied.
            Some(Name::Id(id)) if id != 0 => return Ok(NodeId(id)),
            Some(Name::Address(address)) => {
                (nodes.find(|node| node.address == address), address.escape_debug().to_string())
            }
            _ => {
                let message = format!("{field}: name a node by its id or its address");
                return Err(not_applied(Status::invalid_argument(message)));
            }
        };
        found.map(|node| node.id).ok_or_else(|| {
            let message = format!(
                "{field}: no node has the address `{shown}`; `ringkv node list` shows the nodes"
            );
            not_applied(Status::not_found(message))
        })
    }
}
