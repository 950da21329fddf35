//! The PlacementAdmin service: which call is answered where.

use ringkv_proto::v1::{
    AbortOperationReply, AbortOperationRequest, AddReplicaReply, AddReplicaRequest,
    ClusterStatusReply, ClusterStatusRequest, DrainNodeReply, DrainNodeRequest, GetSettingsReply,
    GetSettingsRequest, ListOperationsReply, ListOperationsRequest, ListReplicasReply,
    ListReplicasRequest, RemoveReplicaReply, RemoveReplicaRequest, ReplaceNodeReply,
    ReplaceNodeRequest, SetSettingReply, SetSettingRequest, UndrainNodeReply, UndrainNodeRequest,
};
use ringkv_services::v1::placement_admin_server::PlacementAdmin;
use tonic::{Request, Response, Status};

use crate::admin::Admin;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl PlacementAdmin for Admin {
    async fn list_replicas(&self, _: Request<ListReplicasRequest>) -> Answer<ListReplicasReply> {
        Ok(Response::new(self.replicas().await))
    }

    async fn add_replica(&self, request: Request<AddReplicaRequest>) -> Answer<AddReplicaReply> {
        self.add(request.into_inner()).await.map(Response::new)
    }

    async fn remove_replica(
        &self,
        request: Request<RemoveReplicaRequest>,
    ) -> Answer<RemoveReplicaReply> {
        self.remove(request.into_inner()).await.map(Response::new)
    }

    async fn cluster_status(&self, _: Request<ClusterStatusRequest>) -> Answer<ClusterStatusReply> {
        self.overview.status().await.map(Response::new)
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Answer<ListOperationsReply> {
        self.overview.operations(false).await.map(Response::new)
    }

    async fn abort_operation(
        &self,
        request: Request<AbortOperationRequest>,
    ) -> Answer<AbortOperationReply> {
        self.abort(request.into_inner()).await.map(Response::new)
    }

    async fn drain_node(&self, request: Request<DrainNodeRequest>) -> Answer<DrainNodeReply> {
        self.drain(request.into_inner()).await.map(Response::new)
    }

    async fn undrain_node(&self, request: Request<UndrainNodeRequest>) -> Answer<UndrainNodeReply> {
        self.undrain(request.into_inner()).await.map(Response::new)
    }

    async fn replace_node(&self, request: Request<ReplaceNodeRequest>) -> Answer<ReplaceNodeReply> {
        self.replace(request.into_inner()).await.map(Response::new)
    }

    async fn get_settings(&self, _: Request<GetSettingsRequest>) -> Answer<GetSettingsReply> {
        self.settings().await.map(Response::new)
    }

    async fn set_setting(&self, request: Request<SetSettingRequest>) -> Answer<SetSettingReply> {
        self.set(request.into_inner()).await.map(Response::new)
    }
}
