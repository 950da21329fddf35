//! Heartbeats: once a second, the groups of this node and what it leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringkv_consensus::GroupStatus;
use ringkv_proto::v1::{HeartbeatReply, HeartbeatRequest};
use ringkv_storage_core::machine::StateHash;
use ringkv_storage_core::report;
use ringkv_topology::GroupId;
use tokio::time::MissedTickBehavior;

use super::client::{CallError, Client, PlacementClient};
use super::register::{Registration, confirm};
use crate::identity::Identity;

/// Placement counts a node as dead after five missed heartbeats.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time to confirm the identity after a refused heartbeat.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);

/// What one heartbeat reports.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) epoch: u64,
    pub(crate) groups: Arc<Vec<GroupStatus>>,
    pub(crate) state_hashes: BTreeMap<GroupId, Vec<StateHash>>,
    pub(crate) data_bytes: u64,
}

/// Sends heartbeats until dropped, and passes on each reply.
///
/// # Errors
/// Ends only when placement no longer knows this node as one of the cluster's.
pub(crate) async fn beat(
    placement: &PlacementClient,
    registration: &Registration,
    identity: Identity,
    mut report: impl FnMut() -> Report,
    mut on_reply: impl FnMut(HeartbeatReply),
) -> anyhow::Result<()> {
    let mut due = tokio::time::interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = true;
    loop {
        due.tick().await;
        let request = request(identity, report());
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.heartbeat(request).await }
        };
        match placement.ask_leader(call).await {
            Ok(reply) => {
                if !answered {
                    tracing::info!("placement answers again");
                }
                answered = true;
                on_reply(reply);
            }
            Err(CallError::Refused(status)) => {
                tracing::warn!(reason = status.message(), "heartbeat refused; registering again");
                confirm(placement, registration, identity, CONFIRM_PATIENCE).await?;
            }
            Err(error) => {
                if answered {
                    tracing::warn!(%error, "heartbeat failed; serving without placement");
                }
                answered = false;
            }
        }
    }
}

fn request(identity: Identity, report: Report) -> HeartbeatRequest {
    let group = |status: &GroupStatus| {
        let state_hashes = report.state_hashes.get(&status.group).map_or(&[][..], Vec::as_slice);
        report::group(status, state_hashes, 0)
    };
    HeartbeatRequest {
        cluster: identity.cluster.0,
        node: identity.node.0,
        epoch: report.epoch,
        groups: report.groups.iter().map(group).collect(),
        data_bytes: report.data_bytes,
        ..HeartbeatRequest::default()
    }
}
