//! The calls of the other placement processes: who this one is, and commands for the leader.

use std::sync::Arc;

use ringkv_placement_core::command::Command;
use ringkv_placement_core::members_view;
use ringkv_placement_core::place::Place;
use ringkv_placement_core::start::Peers;
use ringkv_proto::v1::{
    ClusterStatusReply, ClusterStatusRequest, DescribeReply, DescribeRequest, ProposeReply,
    ProposeRequest,
};
use ringkv_services::v1::placement_peers_server::PlacementPeers;
use tonic::{Request, Response, Status};

use crate::member::Member;
use crate::overview::Overview;

/// Serves the PlacementPeers service.
#[derive(Clone)]
pub(crate) struct PeersService {
    pub(crate) me: Place,
    pub(crate) peers: Arc<Peers>,
    /// `None` while the data directory is empty.
    pub(crate) member: Option<Member>,
    /// As `member`.
    pub(crate) overview: Option<Overview>,
}

#[tonic::async_trait]
impl PlacementPeers for PeersService {
    async fn describe(
        &self,
        _request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeReply>, Status> {
        let group = self.member.as_ref().map(Member::group);
        Ok(Response::new(members_view::reply(self.me, &self.peers, group)))
    }

    async fn propose(
        &self,
        request: Request<ProposeRequest>,
    ) -> Result<Response<ProposeReply>, Status> {
        let ProposeRequest { raft_cluster, command } = request.into_inner();
        let Some(member) = &self.member else {
            return Err(Status::unavailable("this placement replica has no directory yet"));
        };
        let own = member.identity.raft_cluster.0;
        if raft_cluster != own {
            let message = format!("raft_cluster: this is placement {own}, not {raft_cluster}");
            return Err(Status::failed_precondition(message));
        }
        let command = Command::decode(&command)
            .map_err(|error| Status::invalid_argument(format!("command: {error}")))?;
        let result = member.propose(&command).await?.encode();
        Ok(Response::new(ProposeReply { result }))
    }

    async fn cluster_status(
        &self,
        _request: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusReply>, Status> {
        let Some(overview) = &self.overview else {
            return Err(Status::unavailable("this placement replica has no directory yet"));
        };
        overview.own_status().map(Response::new)
    }
}
