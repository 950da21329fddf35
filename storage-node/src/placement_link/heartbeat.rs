//! Heartbeats: once a second, the groups of this node and what it leads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringkv_consensus::{GroupStatus, Role};
use ringkv_proto::v1::{self, GroupReport, HeartbeatRequest};
use ringkv_storage_core::machine::StateHash;
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

/// Sends heartbeats until dropped, and passes on which groups' replicas here have diverged.
///
/// # Errors
/// Ends only when placement no longer knows this node as one of the cluster's.
pub(crate) async fn beat(
    placement: &PlacementClient,
    registration: &Registration,
    identity: Identity,
    mut report: impl FnMut() -> Report,
    mut diverged: impl FnMut(GroupId),
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
                let groups = reply.diverged_groups.into_iter().filter_map(GroupId::from_wire);
                groups.for_each(&mut diverged);
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
    let state_hash = |hash: &StateHash| v1::Checkpoint { index: hash.index.0, checksum: hash.hash };
    let state_hashes = |group: GroupId| {
        let kept = report.state_hashes.get(&group).map_or(&[][..], Vec::as_slice);
        kept.iter().map(state_hash).collect()
    };
    let group = |status: &GroupStatus| GroupReport {
        group: status.group.0,
        leader: status.role == Role::Leader,
        term: status.term.0,
        applied_index: status.applied_index.0,
        checkpoints: state_hashes(status.group),
    };
    HeartbeatRequest {
        cluster: identity.cluster.0,
        node: identity.node.0,
        epoch: report.epoch,
        groups: report.groups.iter().map(group).collect(),
        data_bytes: report.data_bytes,
    }
}
