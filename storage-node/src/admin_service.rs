//! The Admin service: what an operator asks of this one node.
//!
//! All calls are answered on a listener of their own; the address that other processes use answers
//! `Status` only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringkv_consensus::{GroupStatus, Members};
use ringkv_engine::Handle;
use ringkv_proto::topology::to_proto;
use ringkv_proto::v1;
use ringkv_proto::v1::{StatusReply, StatusRequest, StopReply, StopRequest};
use ringkv_services::v1::admin_server::Admin;
use ringkv_storage_core::report;
use ringkv_topology::{NodeId, ReplicaId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::cluster_view::ClusterView;
use crate::config::StopNow;
use crate::identity::Identity;

/// Time for the reply to `Stop{now}` to leave before the process ends.
const LAST_REPLY: Duration = Duration::from_millis(100);

/// Where the service is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// For operators.
    Own,
    /// The address that other processes use.
    Shared,
}

/// The service.
#[derive(Clone)]
pub(crate) struct AdminService {
    pub(crate) identity: Identity,
    pub(crate) address: String,
    /// The address of the listener for operators.
    pub(crate) admin_address: String,
    pub(crate) listener: Listener,
    pub(crate) engine: Handle,
    pub(crate) view: Arc<ClusterView>,
    pub(crate) started: Instant,
    /// Cancelled to stop the node cleanly.
    pub(crate) stop: CancellationToken,
    pub(crate) stop_now: StopNow,
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusReply>, Status> {
        let topology = self.view.get().filter(|_| request.into_inner().topology);
        Ok(Response::new(StatusReply {
            cluster: self.identity.cluster.0,
            node: self.identity.node.0,
            address: self.address.clone(),
            version: ringkv_telemetry::build_info::VERSION.to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            epoch: self.view.epoch(),
            groups: self.engine.status().iter().map(group_to_proto).collect(),
            topology: topology.map(|topology| to_proto(&topology)),
            admin_address: self.admin_address.clone(),
        }))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        if self.listener == Listener::Shared {
            return Err(Status::failed_precondition(format!(
                "this address takes no admin calls; those of node {} are at {} (--admin-listen)",
                self.identity.node, self.admin_address
            )));
        }
        if request.into_inner().now {
            tracing::warn!(
                "stopping at once on request; leadership is not transferred and nothing is flushed"
            );
            let stop_now = self.stop_now.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LAST_REPLY).await;
                stop_now.run();
            });
        } else {
            tracing::info!("stopping on request");
            self.stop.cancel();
        }
        Ok(Response::new(StopReply {}))
    }
}

fn group_to_proto(status: &GroupStatus) -> v1::GroupStatus {
    v1::GroupStatus {
        group: status.group.0,
        replica: status.replica.0,
        role: status.role.number().into(),
        term: status.term.0,
        leader_node: status.leader.map_or(0, |leader| leader.0),
        commit_index: status.commit_index.0,
        applied_index: status.applied_index.0,
        first_index: status.first_index.0,
        last_index: status.last_index.0,
        members_epoch: status.members.epoch.0,
        members: members_to_proto(&status.members),
    }
}

fn members_to_proto(members: &Members) -> Vec<v1::GroupMember> {
    let member = |(replica, node): (&ReplicaId, &NodeId)| v1::GroupMember {
        replica: replica.0,
        node: node.0,
        role: report::role_of(members, *replica).into(),
    };
    members.nodes.iter().map(member).collect()
}
