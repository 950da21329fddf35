//! Heartbeats: once a second, the groups of this node and what it leads. A heartbeat that placement
//! refuses leads to a registration, which decides whether this process is still the node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ringkv_consensus::GroupStatus;
use ringkv_proto::v1::{HeartbeatReply, HeartbeatRequest};
use ringkv_services::NodeRefusal;
use ringkv_storage_core::confirmation::{Answer, Confirmation, Next};
use ringkv_storage_core::machine::StateHash;
use ringkv_storage_core::report;
use ringkv_topology::GroupId;
use tokio::time::{Instant, MissedTickBehavior};

use super::client::{CallError, Client, PlacementClient};
use super::foreign::ForeignPlacement;
use super::pause;
use super::register::{Registration, confirm};
use crate::identity::Identity;

/// Placement counts a node as dead after five missed heartbeats.
const INTERVAL: Duration = Duration::from_secs(1);
/// What one heartbeat reports.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) epoch: u64,
    pub(crate) groups: Arc<Vec<GroupStatus>>,
    pub(crate) state_hashes: BTreeMap<GroupId, Vec<StateHash>>,
    /// By group, about.
    pub(crate) state_bytes: BTreeMap<GroupId, u64>,
    pub(crate) data_bytes: u64,
}

/// The node as placement knows it.
pub(crate) struct Member<'a> {
    pub(crate) placement: &'a PlacementClient,
    pub(crate) registration: &'a Registration,
    pub(crate) identity: &'a Identity,
    pub(crate) foreign: &'a ForeignPlacement,
}

/// Sends heartbeats until dropped, and passes on each reply. A node that is not `confirmed` yet registers first, for as long as it takes.
///
/// # Errors
/// Ends only when this process is not, or no longer, the node: it must stop at once.
pub(crate) async fn beat(
    member: Member<'_>,
    mut confirmed: bool,
    mut report: impl FnMut() -> Report,
    mut on_reply: impl FnMut(HeartbeatReply),
) -> anyhow::Result<()> {
    let mut due = tokio::time::interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = true;
    loop {
        if !confirmed {
            member.register_again().await?;
            confirmed = true;
        }
        due.tick().await;
        let request = request(&member, report());
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.heartbeat(request).await }
        };
        match member.placement.ask_leader(call).await {
            Ok(reply) => {
                if !answered {
                    tracing::info!("placement answers again");
                }
                answered = true;
                member.foreign.clear();
                on_reply(reply);
            }
            Err(CallError::Refused { reason: Some(NodeRefusal::Foreign), status }) => {
                member.foreign.raise(status.message());
            }
            Err(CallError::Refused { status, .. }) => {
                tracing::warn!(reason = status.message(), "heartbeat refused; registering again");
                confirmed = false;
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

impl Member<'_> {
    /// Registers until placement confirms this process as the node.
    async fn register_again(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let since_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut confirmation = Confirmation::new(since_ms());
        for failures in 0.. {
            let (answer, error) = confirm(self.placement, self.registration, self.identity).await;
            let Some(error) = error else {
                self.foreign.clear();
                tracing::info!("placement has confirmed this node");
                return Ok(());
            };
            if confirmation.answered(since_ms(), answer) == Next::End {
                let node = self.identity.node;
                return Err(error).with_context(|| format!("this process is not node {node}"));
            }
            if answer == Answer::Foreign {
                self.foreign.raise(&error.to_string());
            } else {
                tracing::debug!(%error, "placement has not confirmed this node yet; retrying");
            }
            tokio::time::sleep(pause(failures)).await;
        }
        unreachable!("the tries have no end")
    }
}

fn request(member: &Member<'_>, report: Report) -> HeartbeatRequest {
    let group = |status: &GroupStatus| {
        let state_hashes = report.state_hashes.get(&status.group).map_or(&[][..], Vec::as_slice);
        let state_bytes = report.state_bytes.get(&status.group).copied().unwrap_or(0);
        report::group(status, state_hashes, state_bytes)
    };
    let Identity { cluster, node, secret, .. } = member.identity;
    HeartbeatRequest {
        cluster: cluster.0,
        node: node.0,
        epoch: report.epoch,
        groups: report.groups.iter().map(group).collect(),
        data_bytes: report.data_bytes,
        secret: secret.bytes().to_vec().into(),
        incarnation: member.registration.incarnation,
        address: member.registration.address.clone(),
    }
}
