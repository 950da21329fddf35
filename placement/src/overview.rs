//! How the cluster stands, for operators: the replicated state with what the leader observes.
//!
//! Any replica answers: one that does not lead asks the leader. Owns the progress of operations,
//! which the leader's loop feeds in each round. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringkv_placement_core::progress::Progress;
use ringkv_placement_core::reconciler::Blocker;
use ringkv_placement_core::state::State;
use ringkv_placement_core::{operations_view, status_view};
use ringkv_proto::v1::{
    ClusterStatusReply, ClusterStatusRequest, ListOperationsReply, ListOperationsRequest,
};
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::placement_client::PlacementClient;
use ringkv_services::v1::placement_peers_client::PlacementPeersClient;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::answers::not_leader;
use crate::hints::RELAY_METADATA;
use crate::member::Member;
use crate::observed::Observed;

/// A leader that does not answer within this is not asked any longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The parts that the status is made of; clones share them.
#[derive(Clone)]
pub(crate) struct Overview {
    member: Member,
    observed: Arc<Observed>,
    progress: Arc<Mutex<Progress>>,
}

impl Overview {
    pub(crate) fn new(member: Member, observed: Arc<Observed>) -> Self {
        Self { member, observed, progress: Arc::default() }
    }

    /// Takes what a round of the leader's loop has seen.
    pub(crate) fn look(&self, state: &State, blocked: Vec<Blocker>) {
        let now_ms = self.observed.now_ms();
        self.progress.lock().look(now_ms, &state.operations(), blocked);
    }

    /// Notes that this replica does not lead.
    pub(crate) fn forget(&self) {
        self.progress.lock().forget();
    }

    /// The operations. A relayed request is not relayed again.
    ///
    /// # Errors
    /// The request was relayed to a replica that does not lead.
    pub(crate) async fn operations(&self, is_relayed: bool) -> Result<ListOperationsReply, Status> {
        let state = Arc::clone(&self.member.state.borrow());
        if self.member.replica.leads() {
            return Ok(operations_view::reply(&state, Some(&self.progress.lock())));
        }
        if is_relayed {
            return Err(self.not_leader());
        }
        if let Ok(channel) = self.leader() {
            let mut request = Request::new(ListOperationsRequest {});
            request.metadata_mut().insert(RELAY_METADATA, MetadataValue::from_static("1"));
            let mut client =
                PlacementClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
            if let Ok(reply) = client.list_operations(request).await {
                return Ok(reply.into_inner());
            }
        }
        Ok(operations_view::reply(&state, None))
    }

    /// How the cluster stands, as this leader sees it.
    ///
    /// # Errors
    /// This replica does not lead, or the cluster is not initialized.
    pub(crate) fn own_status(&self) -> Result<ClusterStatusReply, Status> {
        if !self.member.replica.leads() {
            return Err(self.not_leader());
        }
        let state = Arc::clone(&self.member.state.borrow());
        let (observations, now_ms) = self.observed.look();
        status_view::reply(&state, &observations, &self.progress.lock(), now_ms)
            .ok_or_else(|| Status::unavailable("the cluster is not initialized yet"))
    }

    /// How the cluster stands, as the leader sees it.
    ///
    /// # Errors
    /// No leader can be asked, or the cluster is not initialized.
    pub(crate) async fn status(&self) -> Result<ClusterStatusReply, Status> {
        if self.member.replica.leads() {
            return self.own_status();
        }
        let mut client =
            PlacementPeersClient::new(self.leader()?).max_decoding_message_size(MESSAGE_BYTES_MAX);
        client.cluster_status(ClusterStatusRequest {}).await.map(|reply| reply.into_inner())
    }

    fn leader(&self) -> Result<Channel, Status> {
        let Member { replica, addresses, .. } = &self.member;
        let Some(address) = replica.leader().and_then(|leader| addresses.get(leader)) else {
            return Err(self.not_leader());
        };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Status::unavailable(error.to_string()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true);
        Ok(endpoint.connect_lazy())
    }

    fn not_leader(&self) -> Status {
        not_leader(self.member.replica.leader(), &self.member.addresses)
    }
}
