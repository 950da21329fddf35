//! Who this node is: from its directory and confirmed by placement, or new from placement.

use anyhow::Context as _;
use ringkv_data_dir::DataDir;
use ringkv_services::NodeRefusal;
use ringkv_storage_core::confirmation::{Answer, Confirmation, Next};
use tokio::time::Instant;

use crate::directory;
use crate::identity::Identity;
use crate::placement_link::{self, CallError, PlacementClient, Registration};

/// A node with its identity.
pub(super) struct Identified {
    pub(super) identity: Identity,
    /// Whether placement has confirmed it; else it starts without placement.
    pub(super) confirmed: bool,
}

/// What the identity of a node is looked up with.
pub(super) struct Identify<'a> {
    pub(super) dir: &'a DataDir,
    pub(super) placement: &'a PlacementClient,
    pub(super) registration: &'a Registration,
    /// Whether a node that cannot go on is abandoned for a new one.
    pub(super) refill: bool,
}

impl Identify<'_> {
    /// Returns the identity, durable in the directory. `stored` is the one of this start; without
    /// one, or with one that cannot be used and `--refill`, placement assigns another.
    ///
    /// # Errors
    /// Placement refuses the stored identity, or another process is the node.
    pub(super) async fn run(&self, stored: Option<Identity>) -> anyhow::Result<Identified> {
        match stored {
            Some(identity) => self.confirm(identity).await,
            None => self.join().await,
        }
    }

    async fn join(&self) -> anyhow::Result<Identified> {
        let identity = placement_link::obtain(self.placement, self.registration).await?;
        identity.store(self.dir)?;
        tracing::info!(cluster = identity.cluster.0, node = identity.node.0, "joined the cluster");
        Ok(Identified { identity, confirmed: true })
    }

    async fn confirm(&self, identity: Identity) -> anyhow::Result<Identified> {
        let began = Instant::now();
        let since_ms = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut confirmation = Confirmation::new(since_ms());
        let mut said = None;
        for failures in 0.. {
            let confirmed = placement_link::confirm(self.placement, self.registration, &identity);
            let (answer, error) = confirmed.await;
            let Some(error) = error else {
                return Ok(Identified { identity, confirmed: true });
            };
            let next = match (answer, identity.has_stores) {
                // It has no data that another cluster could damage, and none to serve.
                (Answer::Foreign, false) => Next::End,
                _ => confirmation.answered(since_ms(), answer),
            };
            match next {
                Next::Serve => {
                    tracing::warn!(
                        %error,
                        "placement does not confirm this node; starting with the stored identity \
                         and topology"
                    );
                    return Ok(Identified { identity, confirmed: false });
                }
                Next::Retry => {}
                Next::End if self.refill && is_outdated(&error) => {
                    tracing::warn!(%error, "abandoning the node in the directory (--refill)");
                    directory::give_up(self.dir)?;
                    return self.join().await;
                }
                Next::End => return Err(error).with_context(|| self.belongs_to(identity)),
            }
            if said.replace(answer) != Some(answer) && answer != Answer::Unreachable {
                tracing::warn!(%error, "cannot start yet; retrying");
            }
            tokio::time::sleep(placement_link::pause(failures)).await;
        }
        unreachable!("the tries have no end")
    }

    fn belongs_to(&self, identity: Identity) -> String {
        let Identity { cluster, node, .. } = identity;
        let dir = self.dir.path().display();
        format!("--data-dir: {dir} belongs to node {node} of cluster {cluster}")
    }
}

fn is_outdated(error: &CallError) -> bool {
    matches!(error, CallError::Refused { reason: Some(NodeRefusal::DirectoryOutdated), .. })
}
