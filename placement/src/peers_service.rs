//! The calls of the other placement processes: who this one is, and commands for the leader.

use std::sync::Arc;

use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::start::Peers;
use ringkv_placement_core::state::{Place, State};
use ringkv_placement_core::{member_steps, members_view};
use ringkv_proto::v1::{
    ClusterStatusReply, ClusterStatusRequest, DescribeReply, DescribeRequest, PlacementGroup,
    ProposeReply, ProposeRequest,
};
use ringkv_services::v1::placement_peers_server::PlacementPeers;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::addresses::Addresses;
use crate::identity::Identity;
use crate::live::Live;
use crate::overview::Overview;
use crate::replica::Replica;
use crate::service::answers::{not_leader, unanswered};

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

/// A replica that runs, for those that ask about it or command it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) identity: Identity,
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) live: Arc<Live>,
    pub(crate) addresses: Arc<Addresses>,
}

impl Member {
    /// Placement's replicas as this one knows them.
    pub(crate) fn group(&self) -> PlacementGroup {
        let state = Arc::clone(&self.state.borrow());
        let Identity { raft_cluster, replica, .. } = self.identity;
        let (status, live) = (self.replica.status(), self.live.replicas());
        members_view::group(raft_cluster, replica, &state, status.as_ref(), &live)
    }

    /// Replicates a command, if this replica leads and what it observes does not speak against it.
    pub(crate) async fn propose(&self, command: &Command) -> Result<CommandResult, Status> {
        if !self.replica.leads() {
            return Err(not_leader(self.replica.leader(), &self.addresses));
        }
        if let Command::Members(change) = command {
            let state = Arc::clone(&self.state.borrow());
            let (live, is_settled) = (self.live.replicas(), self.live.is_settled());
            let admitted = member_steps::admit(change, state.members(), &live, is_settled);
            if let Err(refusal) = admitted {
                return Ok(CommandResult::Refused(refusal.into()));
            }
        }
        let done = self.replica.propose(command).await;
        done.map_err(|error| unanswered(&error, &self.addresses))
    }
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
