//! The calls of an operator to one storage node.

use std::net::SocketAddr;
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
    /// `host:port` of its admin listener, as it is bound there.
    pub admin_address: String,
    /// The version of the topology that it uses.
    pub epoch: u64,
    /// The groups that have a replica on it.
    pub groups: u32,
    /// Those that it leads.
    pub leads: u32,
}

/// A connection to one storage node for operators; clones share it.
///
/// ```no_run
/// use ringkv_client::admin::{Stop, StorageNode};
///
/// # async fn example() -> Result<(), ringkv_client::admin::AdminError> {
/// let node = StorageNode::connect("127.0.0.1:50051").await?;
/// println!("node {} leads {} groups", node.status().await?.node, node.status().await?.leads);
/// node.stop(Stop::Clean).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StorageNode {
    address: String,
    client: AdminClient<Channel>,
}

impl StorageNode {
    /// Connects to a node, host:port: to the address that it is registered with, or to that of its
    /// admin listener.
    ///
    /// # Errors
    /// As [`super::Admin::connect`].
    pub async fn connect(address: &str) -> Result<Self, AdminError> {
        let client = AdminClient::new(channel(address).await?);
        Ok(Self { address: address.to_owned(), client })
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
            admin_address: wire.admin_address,
            epoch: wire.epoch,
            leads: count(wire.groups.iter().filter(|group| group.role == LEADER).count()),
            groups: count(wire.groups.len()),
        })
    }

    /// Has the node end, by its admin listener. Returns when it has answered, which is before it
    /// ends.
    ///
    /// # Errors
    /// See [`super::AdminErrorKind`]; that listener is mostly reached on the node's machine only. A
    /// node that ends at once may be gone before its answer is sent, which is no error.
    pub async fn stop(&self, how: Stop) -> Result<(), AdminError> {
        let now = how == Stop::Immediate;
        let at_listener = |error: AdminError| AdminError {
            message: format!("the node's admin listener: {}", error.message),
            ..error
        };
        let mut client = match reached_at(&self.status().await?.admin_address, &self.address) {
            Some(listener) => AdminClient::new(channel(&listener).await.map_err(at_listener)?),
            None => self.client.clone(),
        };
        match client.stop(v1::StopRequest { now }).await {
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

/// How the admin listener of the node at `address` is reached, unless that is `address` itself: one
/// that is bound to all addresses, at the host of that address.
fn reached_at(bound: &str, address: &str) -> Option<String> {
    let bound: SocketAddr = bound.parse().ok()?;
    let (host, _) = address.rsplit_once(':')?;
    let reached = if bound.ip().is_unspecified() {
        format!("{host}:{}", bound.port())
    } else {
        bound.to_string()
    };
    (reached != address).then_some(reached)
}

/// Whether the connection broke before an answer came.
fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_the_nodes_host() {
        let reached = |bound, address| reached_at(bound, address);
        assert_eq!(reached("0.0.0.0:50060", "n1:50051"), Some("n1:50060".to_owned()));
        assert_eq!(reached("127.0.0.1:50060", "n1:50051"), Some("127.0.0.1:50060".to_owned()));
        assert_eq!(reached("127.0.0.1:50060", "127.0.0.1:50060"), None);
        assert_eq!(reached("", "n1:50051"), None, "an older node");
    }
}
