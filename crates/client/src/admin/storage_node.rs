//! The calls of an operator to one storage node.

use std::time::Duration;

use ringkv_proto::v1;
use ringkv_services::v1::admin_client::AdminClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::admin::{AdminError, answer, channel};

/// How a node is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It hands leadership over, drains, flushes, and exits with 0.
    Clean,
    /// At once, as a crash would: nothing is handed over or flushed. Acknowledged writes are safe
    /// nevertheless.
    Immediate,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageNodeStatus {
    /// The cluster that it belongs to.
    pub cluster: u64,
    /// Its id.
    pub node: u64,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// For how long its process has run.
    pub uptime: Duration,
    /// The version of the topology that it uses.
    pub epoch: u64,
    /// The groups that have a replica on it.
    pub groups: u32,
    /// Those that it leads.
    pub leads: u32,
}

/// A connection to the admin service of one storage node; clones share it.
///
/// ```no_run
/// use ringkv_client::admin::{Stop, StorageNode};
///
/// # async fn example() -> Result<(), ringkv_client::admin::AdminError> {
/// let node = StorageNode::connect("127.0.0.1:50052").await?;
/// println!("node {} leads {} groups", node.status().await?.node, node.status().await?.leads);
/// node.stop(Stop::Clean).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StorageNode {
    client: AdminClient<Channel>,
}

impl StorageNode {
    /// Connects to the admin service of a node, host:port.
    ///
    /// # Errors
    /// As [`super::Admin::connect`].
    pub async fn connect(address: &str) -> Result<Self, AdminError> {
        Ok(Self { client: AdminClient::new(channel(address).await?) })
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// See [`super::AdminErrorKind`].
    pub async fn status(&self) -> Result<StorageNodeStatus, AdminError> {
        /// The number of a leader's role on the wire.
        const LEADER: u32 = 2;
        let request = v1::StatusRequest::default();
        let wire = answer(self.client.clone().status(request).await)?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(StorageNodeStatus {
            cluster: wire.cluster,
            node: wire.node,
            address: wire.address,
            version: wire.version,
            uptime: Duration::from_secs(wire.uptime_seconds),
            epoch: wire.epoch,
            leads: count(wire.groups.iter().filter(|group| group.role == LEADER).count()),
            groups: count(wire.groups.len()),
        })
    }

    /// Has the node end. Returns when it has answered, which is before it ends.
    ///
    /// # Errors
    /// See [`super::AdminErrorKind`]. A node that ends at once may be gone before its answer is
    /// sent, which is no error.
    pub async fn stop(&self, how: Stop) -> Result<(), AdminError> {
        let now = how == Stop::Immediate;
        match self.client.clone().stop(v1::StopRequest { now }).await {
            Ok(_) => Ok(()),
            Err(status) if now && is_gone(&status) => Ok(()),
            Err(status) => Err(AdminError::from_status(&status)),
        }
    }

    /// Waits until the process has ended: it no longer answers, or another one does. The caller
    /// bounds the time.
    pub async fn ended(&self) {
        const PAUSE: Duration = Duration::from_millis(100);
        let mut uptime = Duration::ZERO;
        while let Ok(status) = self.status().await
            && status.uptime >= uptime
        {
            uptime = status.uptime;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether the connection broke before an answer came.
fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}
