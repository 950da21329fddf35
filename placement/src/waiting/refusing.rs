//! The Placement service of a process whose data directory is empty: callers are to retry elsewhere.

use std::pin::Pin;

use futures::stream::Stream;
use ringkv_proto::v1::{
    GetTopologyRequest, HeartbeatReply, HeartbeatRequest, ListOperationsReply,
    ListOperationsRequest, RegisterReply, RegisterRequest, TopologyUpdate, WatchRequest,
};
use ringkv_services::v1::placement_server::Placement;
use tonic::{Request, Response, Status};

/// Refuses every call with UNAVAILABLE.
pub(super) struct Refusing;

fn refused<T>() -> Result<T, Status> {
    Err(Status::unavailable(
        "this placement replica has an empty directory and waits for the others",
    ))
}

#[tonic::async_trait]
impl Placement for Refusing {
    async fn register(
        &self,
        _: Request<RegisterRequest>,
    ) -> Result<Response<RegisterReply>, Status> {
        refused()
    }

    async fn heartbeat(
        &self,
        _: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatReply>, Status> {
        refused()
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<TopologyUpdate, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        refused()
    }

    async fn get_topology(
        &self,
        _: Request<GetTopologyRequest>,
    ) -> Result<Response<TopologyUpdate>, Status> {
        refused()
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsReply>, Status> {
        refused()
    }
}
