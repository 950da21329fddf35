//! The fake's `Placement` service: the topology, and nothing that changes it.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use ringkv_proto::v1;
use ringkv_services::v1::placement_server::{Placement, PlacementServer};
use ringkv_topology::Topology;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

use super::Shared;

pub(super) fn server(shared: Arc<Shared>) -> PlacementServer<impl Placement> {
    PlacementServer::new(FakePlacement { shared })
}

pub(super) fn update(topology: &Topology) -> v1::TopologyUpdate {
    v1::TopologyUpdate {
        topology: Some(ringkv_proto::topology::to_proto(topology)),
        leaders: Vec::new(),
        alive_nodes: topology.nodes.keys().map(|node| node.0).collect(),
    }
}

struct FakePlacement {
    shared: Arc<Shared>,
}

#[tonic::async_trait]
impl Placement for FakePlacement {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::TopologyUpdate, Status>> + Send>>;

    async fn register(
        &self,
        _: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterReply>, Status> {
        Err(Status::unimplemented("the fake cluster takes no nodes"))
    }

    async fn heartbeat(
        &self,
        _: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatReply>, Status> {
        Err(Status::unimplemented("the fake cluster takes no nodes"))
    }

    async fn watch(
        &self,
        _: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let updates = WatchStream::new(self.shared.update.subscribe());
        Ok(Response::new(Box::pin(updates.map(Ok))))
    }

    async fn get_topology(
        &self,
        _: Request<v1::GetTopologyRequest>,
    ) -> Result<Response<v1::TopologyUpdate>, Status> {
        Ok(Response::new(update(&self.shared.state.lock().topology)))
    }

    async fn list_operations(
        &self,
        _: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsReply>, Status> {
        Ok(Response::new(self.shared.state.lock().operations.clone()))
    }
}
