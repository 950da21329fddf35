//! Who this node is: from its directory and confirmed by placement, or new from placement.

use std::time::Duration;

use ringkv_data_dir::DataDir;

use crate::identity::Identity;
use crate::placement_link::{PlacementClient, Registration, confirm, obtain};

/// How long a node that has an identity waits for placement to confirm it before it starts
/// without placement. Long enough that a node of another cluster is stopped before it serves.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(2);

/// Returns the identity, durable in the directory. Waits for placement only if there is none yet.
///
/// # Errors
/// The stored identity is damaged, or placement refuses it.
pub(super) async fn identify(
    dir: &DataDir,
    placement: &PlacementClient,
    registration: &Registration,
) -> anyhow::Result<Identity> {
    if let Some(identity) = Identity::load(dir)? {
        let confirmed = confirm(placement, registration, identity, CONFIRM_PATIENCE).await;
        let confirmed = confirmed.map_err(|error| {
            let Identity { cluster, node } = identity;
            let dir = dir.path().display();
            error.context(format!("--data-dir: {dir} belongs to node {node} of cluster {cluster}"))
        })?;
        if !confirmed {
            tracing::warn!(
                "placement does not answer; starting with the stored identity and topology"
            );
        }
        return Ok(identity);
    }
    let identity = obtain(placement, registration).await?;
    identity.store(dir)?;
    tracing::info!(cluster = identity.cluster.0, node = identity.node.0, "joined the cluster");
    Ok(identity)
}
