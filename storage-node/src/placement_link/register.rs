//! Registration: how a node gets its identity, and how one that has it is confirmed.

use ringkv_proto::v1::{RegisterReply, RegisterRequest};
use ringkv_services::NodeRefusal;
use ringkv_storage_core::confirmation::Answer;
use ringkv_topology::{ClusterId, NodeId, NodeSecret};
use tonic::Status;

use super::client::{CallError, Client, PlacementClient};
use super::pause;
use crate::identity::Identity;

/// Tries of a first registration, about 3 s of them, that may fail while a cluster starts.
const FAILURES_USUAL: u32 = 5;

/// What a node reports to placement about itself.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) address: String,
    pub(crate) zone: String,
    pub(crate) capacity: u32,
    /// New at every start: a repeated first registration returns the same id.
    pub(crate) incarnation: u64,
    /// The number of the data directory on this machine.
    pub(crate) directory: Option<u64>,
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
        let error = match register(placement, registration, None).await {
            Ok(reply) => match identity(&reply) {
                Some(identity) => {
                    if !reply.warning.is_empty() {
                        tracing::warn!("{}", reply.warning);
                    }
                    return Ok(identity);
                }
                None => malformed("the reply to the registration has no identity"),
            },
            Err(error) if is_for_good(&error) => return Err(error.into()),
            Err(error) => error,
        };
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

/// Asks placement once to confirm the identity and to update a changed address or zone. Returns
/// the answer and, unless it is a confirmation, what was said.
pub(crate) async fn confirm(
    placement: &PlacementClient,
    registration: &Registration,
    identity: &Identity,
) -> (Answer, Option<CallError>) {
    let error = match register(placement, registration, Some(identity)).await {
        Ok(reply) if (reply.cluster, reply.node) == (identity.cluster.0, identity.node.0) => {
            return (Answer::Confirmed, None);
        }
        Ok(_) => malformed("the reply to the registration names another node"),
        Err(error) => error,
    };
    let answer = match &error {
        CallError::Unavailable { .. } => Answer::Unreachable,
        CallError::Refused { reason, .. } => match reason {
            Some(NodeRefusal::Foreign) => Answer::Foreign,
            Some(NodeRefusal::ServedElsewhere) => Answer::ServedElsewhere,
            Some(NodeRefusal::TooEarly) => Answer::TooEarly,
            Some(NodeRefusal::DirectoryOutdated) | None => Answer::Refused,
        },
    };
    (answer, Some(error))
}

/// Whether the same registration is refused again at every retry.
fn is_for_good(error: &CallError) -> bool {
    let waits = [NodeRefusal::ServedElsewhere, NodeRefusal::TooEarly];
    match error {
        CallError::Refused { reason, .. } => reason.is_none_or(|reason| !waits.contains(&reason)),
        CallError::Unavailable { .. } => false,
    }
}

fn identity(reply: &RegisterReply) -> Option<Identity> {
    Some(Identity {
        cluster: ClusterId::from_wire(reply.cluster)?,
        node: NodeId::from_wire(reply.node)?,
        secret: NodeSecret::from_wire(&reply.secret)?,
        starts: 1,
        has_stores: false,
    })
}

fn malformed(problem: &str) -> CallError {
    CallError::Unavailable { address: "its leader".into(), status: Status::internal(problem) }
}

async fn register(
    placement: &PlacementClient,
    registration: &Registration,
    identity: Option<&Identity>,
) -> Result<RegisterReply, CallError> {
    let request = RegisterRequest {
        cluster: identity.map_or(0, |identity| identity.cluster.0),
        node: identity.map_or(0, |identity| identity.node.0),
        address: registration.address.clone(),
        zone: registration.zone.clone(),
        capacity: registration.capacity,
        incarnation: registration.incarnation,
        secret: identity.map_or_else(Vec::new, |identity| identity.secret.bytes().to_vec()).into(),
        starts: identity.map_or(1, |identity| identity.starts),
        directory: registration.directory.unwrap_or(0),
    };
    let call = |mut client: Client| {
        let request = request.clone();
        async move { client.register(request).await }
    };
    placement.ask_leader(call).await
}
