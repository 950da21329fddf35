//! The gRPC service of a placement replica: one method per call. Decides nothing.
//!
//! Register goes through the log. Heartbeats go to the leader's memory. Watch and GetTopology
//! return what this replica has applied, leader or not: a topology carries its epoch, and its
//! readers keep the newest. A reply that makes a node stop for good is sent only after a read
//! point.

pub(crate) mod answers;

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{Stream, StreamExt as _};
use ringkv_placement_core::command::{Command, CommandResult, Refusal, Registration};
use ringkv_placement_core::requests;
use ringkv_placement_core::state::State;
use ringkv_proto::v1::{
    GetTopologyRequest, HeartbeatReply, HeartbeatRequest, RegisterReply, RegisterRequest,
    TopologyUpdate, WatchRequest,
};
use ringkv_services::v1::placement_server::Placement;
use ringkv_topology::{ClusterId, NodeId};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::addresses::Addresses;
use crate::feed::Updates;
use crate::hints::RELAY_METADATA;
use crate::observed::Observed;
use crate::replica::Replica;
use crate::service::answers::{invalid, not_leader, refused, unanswered, unexpected};
use crate::watches::{WATCHES_MAX, Watches};

/// Serves the Placement service.
pub(crate) struct Service {
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) updates: Updates,
    /// `host:port` of every placement replica.
    pub(crate) peers: Arc<Addresses>,
    pub(crate) watches: Watches,
    /// Ends all watches.
    pub(crate) stopping: CancellationToken,
}

impl Service {
    fn current(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// Checks that no live node has the address: a node that is alive has not lost its disk.
    fn check_address_is_free(&self, registration: &Registration) -> Result<(), Status> {
        if registration.identity.is_some() {
            return Ok(());
        }
        let state = self.current();
        let other = state.other_node_at(&registration.address, registration.incarnation);
        match other.filter(|node| self.observed.alive().contains(node)) {
            None => Ok(()),
            Some(node) => Err(Status::unavailable(format!(
                "node {node} at {} is alive; retry when it has been silent for 5 s",
                registration.address
            ))),
        }
    }

    async fn check_identity(&self, cluster: ClusterId, node: NodeId) -> Result<(), Status> {
        if self.current().check_identity(cluster, node).is_ok() {
            return Ok(());
        }
        // A newly elected leader may not have applied the node's registration yet.
        let read = self.replica.read_point().await;
        read.map_err(|error| unanswered(&error, &self.peers))?;
        self.current().check_identity(cluster, node).map_err(|refusal| refused(&refusal))
    }
}

#[tonic::async_trait]
impl Placement for Service {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterReply>, Status> {
        let registration = requests::registration(request.into_inner()).map_err(invalid)?;
        self.check_address_is_free(&registration)?;
        let command = Command::Register(registration.clone());
        let result = self.replica.propose(&command).await;
        match result.map_err(|error| unanswered(&error, &self.peers))? {
            CommandResult::Registered { cluster, node, slot_count } => {
                let Registration { address, zone, incarnation, .. } = registration;
                tracing::info!(%node, address, zone, incarnation, "registered");
                self.observed.heard(node);
                Ok(Response::new(RegisterReply {
                    cluster: cluster.0,
                    node: node.0,
                    slot_count,
                    ..RegisterReply::default()
                }))
            }
            CommandResult::Refused(refusal @ Refusal::NotInitialized) => Err(refused(&refusal)),
            CommandResult::Refused(refusal) => {
                tracing::warn!(address = registration.address, %refusal, "registration refused");
                Err(refused(&refusal))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatReply>, Status> {
        let heartbeat = requests::heartbeat(&request.into_inner()).map_err(invalid)?;
        if !self.replica.leads() {
            return Err(not_leader(self.replica.leader(), &self.peers));
        }
        self.check_identity(heartbeat.cluster, heartbeat.node).await?;
        self.observed.reported(heartbeat.node, heartbeat.epoch, &heartbeat.reports);
        let state = self.current();
        let diverged = state
            .topology()
            .map(|topology| self.observed.diverged_groups(topology, heartbeat.node))
            .unwrap_or_default();
        let removed = state.removed().filter(|(_, removed)| removed.node == heartbeat.node);
        Ok(Response::new(HeartbeatReply {
            epoch: state.epoch().0,
            diverged_groups: diverged.into_iter().map(|group| group.0).collect(),
            removed_replicas: removed.map(|(replica, _)| replica.0).collect(),
        }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<TopologyUpdate, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if request.metadata().contains_key(RELAY_METADATA) && !self.replica.leads() {
            return Err(not_leader(self.replica.leader(), &self.peers));
        }
        let permit = self.watches.enter().ok_or_else(|| {
            Status::resource_exhausted(format!(
                "this replica has {WATCHES_MAX} open watches, the maximum"
            ))
        })?;
        let stopping = self.stopping.clone().cancelled_owned();
        let updates = WatchStream::new(self.updates.clone()).take_until(stopping);
        let updates = updates.filter_map(move |update| {
            // The permit is held until the stream is dropped.
            let _held = &permit;
            std::future::ready(update.map(|update| Ok(TopologyUpdate::clone(&update))))
        });
        Ok(Response::new(Box::pin(updates)))
    }

    async fn get_topology(
        &self,
        _request: Request<GetTopologyRequest>,
    ) -> Result<Response<TopologyUpdate>, Status> {
        match self.updates.borrow().as_ref() {
            Some(update) => Ok(Response::new(TopologyUpdate::clone(update))),
            None => Err(refused(&Refusal::NotInitialized)),
        }
    }
}
