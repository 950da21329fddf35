//! Registration: how a node gets its identity, and how one that has it is confirmed.

use std::time::Duration;

use ringkv_proto::v1::{RegisterReply, RegisterRequest};
use ringkv_topology::{ClusterId, NodeId};

use super::client::{CallError, Client, PlacementClient};
use super::pause;
use crate::identity::Identity;

/// Tries of a first registration, about 3 s of them, that may fail while a cluster starts.
const FAILURES_USUAL: u32 = 5;

/// What a node tells placement about itself.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) address: String,
    pub(crate) zone: String,
    pub(crate) capacity: u32,
    /// New at every start: a repeated first registration returns the same id.
    pub(crate) incarnation: u64,
}

/// Asks for an identity for a node that has none, for as long as it takes.
///
/// # Errors
/// Placement refuses.
pub(crate) async fn obtain(
    placement: &PlacementClient,
    registration: &Registration,
) -> anyhow::Result<Identity> {
    let mut failures = 0;
    loop {
        match register(placement, registration, None).await {
            Ok(identity) => return Ok(identity),
            Err(error @ CallError::Refused(_)) => return Err(error.into()),
            Err(error) => {
                // Processes of a new cluster start in any order: early failures are no warning.
                if failures < FAILURES_USUAL {
                    tracing::info!(%error, "cannot register yet; retrying");
                } else {
                    tracing::warn!(%error, "cannot register yet; retrying");
                }
                tokio::time::sleep(pause(failures)).await;
                failures += 1;
            }
        }
    }
}

/// Asks placement to confirm the identity and to update a changed address or zone. Retries for up
/// to `patience`; returns whether placement answered.
///
/// # Errors
/// Placement refuses: the identity is not, or no longer, one of its cluster's.
pub(crate) async fn confirm(
    placement: &PlacementClient,
    registration: &Registration,
    identity: Identity,
    patience: Duration,
) -> anyhow::Result<bool> {
    let tries = async {
        let mut failures = 0;
        loop {
            match register(placement, registration, Some(identity)).await {
                Ok(confirmed) if confirmed == identity => return Ok(()),
                Ok(other) => anyhow::bail!("placement confirmed {identity:?} as {other:?}"),
                Err(error @ CallError::Refused(_)) => return Err(error.into()),
                Err(error) => tracing::debug!(%error, "cannot confirm the identity yet; retrying"),
            }
            tokio::time::sleep(pause(failures)).await;
            failures += 1;
        }
    };
    match tokio::time::timeout(patience, tries).await {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

async fn register(
    placement: &PlacementClient,
    registration: &Registration,
    identity: Option<Identity>,
) -> Result<Identity, CallError> {
    let request = RegisterRequest {
        cluster: identity.map_or(0, |identity| identity.cluster.0),
        node: identity.map_or(0, |identity| identity.node.0),
        address: registration.address.clone(),
        zone: registration.zone.clone(),
        capacity: registration.capacity,
        incarnation: registration.incarnation,
        ..RegisterRequest::default()
    };
    let call = |mut client: Client| {
        let request = request.clone();
        async move { client.register(request).await }
    };
    let reply: RegisterReply = placement.ask_leader(call).await?;
    match (ClusterId::from_wire(reply.cluster), NodeId::from_wire(reply.node)) {
        (Some(cluster), Some(node)) => Ok(Identity { cluster, node }),
        _ => Err(CallError::Unavailable {
            address: "its leader".into(),
            status: tonic::Status::internal("the registration reply has no identity"),
        }),
    }
}
