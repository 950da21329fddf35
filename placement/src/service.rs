//! The gRPC service of a placement replica: one method per call. Decides nothing.
//!
//! Register goes through the log. Heartbeats go to the leader's memory. Watch and GetTopology
//! return what this replica has applied, leader or not: a topology carries its epoch, and its
//! readers keep the newest. A reply that makes a node stop for good is sent only after a read
//! point.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{Stream, StreamExt as _};
use ringkv_placement_core::command::Sender;
use ringkv_placement_core::command::{Command, CommandResult, Incarnation, Refusal, Registration};
use ringkv_placement_core::requests;
use ringkv_placement_core::state::State;
use ringkv_proto::v1::{
    GetTopologyRequest, HeartbeatReply, HeartbeatRequest, ListOperationsReply,
    ListOperationsRequest, RegisterReply, RegisterRequest, TopologyUpdate, WatchRequest,
};
use ringkv_services::v1::placement_server::Placement;
use ringkv_topology::NodeSecret;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::addresses::Addresses;
use crate::answers::{invalid, not_leader, refused, unanswered, unexpected, wait, warning};
use crate::feed::Updates;
use crate::hints::RELAY_METADATA;
use crate::observed::Observed;
use crate::overview::Overview;
use crate::refusals::Refusals;
use crate::replica::Replica;
use crate::watches::{WATCHES_MAX, Watches};

/// Serves the Placement service.
pub(crate) struct Service {
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) overview: Overview,
    pub(crate) updates: Updates,
    /// `host:port` of every placement replica.
    pub(crate) peers: Arc<Addresses>,
    pub(crate) watches: Watches,
    pub(crate) refusals: Refusals,
    /// Ends all watches.
    pub(crate) stopping: CancellationToken,
}

impl Service {
    fn current(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// What the registration may displace, by what this leader has heard.
    fn displaced(&self, registration: &Registration) -> Result<Vec<Incarnation>, Status> {
        let Some(led) = self.replica.led_for() else {
            return Err(not_leader(self.replica.leader(), &self.peers));
        };
        let displaced = self.observed.displaced(&self.current(), registration, led);
        displaced.map_err(|waits| {
            tracing::info!(reason = %waits, "a registration has to wait");
            wait(&waits)
        })
    }

    async fn check_sender(&self, sender: &Sender) -> Result<(), Status> {
        if self.current().check_heartbeat(sender).is_ok() {
            return Ok(());
        }
        // A newly elected leader may not have applied the node's registration yet.
        let read = self.replica.read_point().await;
        read.map_err(|error| unanswered(&error, &self.peers))?;
        self.current().check_heartbeat(sender).map_err(|refusal| refused(&refusal))
    }

    /// Registers a node, or says why not.
    async fn admit(&self, request: RegisterRequest) -> Result<RegisterReply, Status> {
        let registration = requests::registration(request).map_err(invalid)?;
        let displaces = self.displaced(&registration)?;
        let secret = NodeSecret::new(rand::random());
        let command = Command::Register { registration: registration.clone(), secret, displaces };
        let result = self.replica.propose(&command).await;
        match result.map_err(|error| unanswered(&error, &self.peers))? {
            CommandResult::Registered { cluster, node, slot_count, secret, holder } => {
                // Without the incarnation: with it, any caller could ask for the secret of a new node.
                let Registration { address, zone, starts, .. } = registration;
                let warning = holder.as_ref().map(warning).unwrap_or_default();
                tracing::info!(%node, address, zone, starts, warning, "registered");
                Ok(RegisterReply {
                    cluster: cluster.0,
                    node: node.0,
                    slot_count,
                    secret: secret.map_or_else(Vec::new, |secret| secret.bytes().to_vec()).into(),
                    warning,
                })
            }
            CommandResult::Refused(refusal @ Refusal::NotInitialized) => Err(refused(&refusal)),
            CommandResult::Refused(refusal) => {
                tracing::warn!(address = registration.address, %refusal, "registration refused");
                Err(refused(&refusal))
            }
            other => Err(unexpected(&other)),
        }
    }
}

#[tonic::async_trait]
impl Placement for Service {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterReply>, Status> {
        let registered = self.admit(request.into_inner()).await;
        if let Err(status) = &registered {
            self.refusals.count(status);
        }
        registered.map(Response::new)
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatReply>, Status> {
        let heartbeat = requests::heartbeat(&request.into_inner()).map_err(invalid)?;
        if !self.replica.leads() {
            return Err(not_leader(self.replica.leader(), &self.peers));
        }
        self.check_sender(&heartbeat.sender).await?;
        let node = heartbeat.sender.claim.node;
        self.observed.reported(node, heartbeat.epoch, &heartbeat.reports);
        let state = self.current();
        let diverged = state
            .topology()
            .map(|topology| self.observed.diverged_groups(topology, node))
            .unwrap_or_default();
        let removed = state.removed().filter(|(_, removed)| removed.node == node);
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

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsReply>, Status> {
        let is_relayed = request.metadata().contains_key(RELAY_METADATA);
        self.overview.operations(is_relayed).await.map(Response::new)
    }
}
