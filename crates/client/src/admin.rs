//! The calls of an operator, for programs that run a cluster: drain, replace, settings, status, stop.
//!
//! [`Admin`] speaks to the admin listener of any placement replica, [`StorageNode`] to that of one
//! storage node. Knows no key and no value. Each call is one request: a failed one says whether it
//! applied, and every change may be repeated.

mod error;
mod status;
mod storage_node;

use std::time::Duration;

use ringkv_proto::v1;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::placement_admin_client::PlacementAdminClient;
use ringkv_topology::{NodeId, RuntimeSettings};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub use error::{AdminError, AdminErrorKind};
pub use status::{ClusterStatus, NodeStatus, PlacementReplica};
pub use storage_node::{Stop, StorageNode, StorageNodeStatus};

use crate::operation::{Operation, Operations};

/// A change of placement's leader takes about 2 s, and a call is passed on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A storage node, by its id or by its address.
///
/// ```
/// use ringkv_client::admin::NodeName;
///
/// assert_eq!("4".parse(), Ok(NodeName::Id(4)));
/// assert_eq!("10.0.0.4:50051".parse(), Ok(NodeName::Address("10.0.0.4:50051".to_owned())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeName {
    /// Its id.
    Id(u64),
    /// `host:port` as it is registered; of several nodes there, the newest.
    Address(String),
}

impl std::str::FromStr for NodeName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Address(text.to_owned()), Self::Id))
    }
}

impl std::fmt::Display for NodeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "node {id}"),
            Self::Address(address) => write!(f, "the node at {address}"),
        }
    }
}

/// A connection to the admin listener of a placement replica; clones share it.
///
/// ```no_run
/// use ringkv_client::OperationState;
/// use ringkv_client::admin::{Admin, NodeName};
///
/// # async fn example() -> Result<(), ringkv_client::admin::AdminError> {
/// let admin = Admin::connect("127.0.0.1:7001").await?;
/// admin.set_setting("replace-after", "10m").await?;
///
/// // Returns when the drain has begun; its operation says how far it is.
/// let drain = admin.drain(NodeName::Id(4)).await?;
/// while let Some(operation) = admin.operation(drain).await? {
///     if operation.state != OperationState::Running {
///         break;
///     }
///     println!("{} of {} replicas moved", operation.done_steps, operation.total_steps);
///     tokio::time::sleep(std::time::Duration::from_secs(1)).await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    client: PlacementAdminClient<Channel>,
}

impl Admin {
    /// Connects to the `--admin-listen` address of a placement replica, host:port.
    ///
    /// # Errors
    /// [`AdminErrorKind::Invalid`] for an address that is none, [`AdminErrorKind::Unreachable`] when
    /// nothing answers there.
    pub async fn connect(address: &str) -> Result<Self, AdminError> {
        let channel = channel(address).await?;
        let client =
            PlacementAdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { client })
    }

    /// How the cluster stands, as placement's leader sees it.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn status(&self) -> Result<ClusterStatus, AdminError> {
        let reply = self.client.clone().cluster_status(v1::ClusterStatusRequest {}).await;
        let cluster = answer(reply)?;
        let placement = self.client.clone().list_replicas(v1::ListReplicasRequest {}).await;
        Ok(ClusterStatus::from_proto(cluster, answer(placement)?.group.unwrap_or_default()))
    }

    /// Begins to move all replicas off a node, and returns the id of the operation. A repeated call
    /// returns the same.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn drain(&self, node: NodeName) -> Result<u64, AdminError> {
        let request = v1::DrainNodeRequest { node: Some(to_proto(node)) };
        Ok(answer(self.client.clone().drain_node(request).await)?.operation)
    }

    /// Takes a node back that drains or has been drained, and returns its id.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn undrain(&self, node: NodeName) -> Result<NodeId, AdminError> {
        let request = v1::UndrainNodeRequest { node: Some(to_proto(node)) };
        Ok(NodeId(answer(self.client.clone().undrain_node(request).await)?.node))
    }

    /// Begins to move all replicas of one node to another, and returns the id of the operation.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn replace(&self, old: NodeName, new: NodeName) -> Result<u64, AdminError> {
        let request = v1::ReplaceNodeRequest { old: Some(to_proto(old)), new: Some(to_proto(new)) };
        Ok(answer(self.client.clone().replace_node(request).await)?.operation)
    }

    /// The operations that run and the last that ended.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn operations(&self) -> Result<Operations, AdminError> {
        let reply = self.client.clone().list_operations(v1::ListOperationsRequest {}).await;
        Ok(Operations::from_proto(answer(reply)?))
    }

    /// One operation; `None` if there is none with the id, or it ended long ago.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn operation(&self, id: u64) -> Result<Option<Operation>, AdminError> {
        Ok(self.operations().await?.find(id).cloned())
    }

    /// Takes an operation back. Moves past their point of return are finished.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn abort(&self, id: u64) -> Result<(), AdminError> {
        let request = v1::AbortOperationRequest { operation: id };
        answer(self.client.clone().abort_operation(request).await).map(drop)
    }

    /// What can be changed while the cluster runs.
    ///
    /// # Errors
    /// See [`AdminErrorKind`].
    pub async fn settings(&self) -> Result<RuntimeSettings, AdminError> {
        let reply = self.client.clone().get_settings(v1::GetSettingsRequest {}).await;
        Ok(settings(answer(reply)?.runtime))
    }

    /// Changes a setting, with its value as people type it (`replace-after` `5m`, `snapshot-rate`
    /// `64MiB/s`), and returns all of them.
    ///
    /// # Errors
    /// [`AdminErrorKind::Invalid`] names the range; else see there.
    pub async fn set_setting(
        &self,
        name: &str,
        value: &str,
    ) -> Result<RuntimeSettings, AdminError> {
        let request = v1::SetSettingRequest { name: name.to_owned(), value: value.to_owned() };
        Ok(settings(answer(self.client.clone().set_setting(request).await)?.runtime))
    }
}

async fn channel(address: &str) -> Result<Channel, AdminError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| {
        AdminError::not_applied(AdminErrorKind::Invalid, format!("`{address}` is not host:port"))
    })?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT);
    endpoint.connect().await.map_err(|error| AdminError::unreachable(address, &error))
}

fn answer<T>(reply: Result<tonic::Response<T>, Status>) -> Result<T, AdminError> {
    reply.map(tonic::Response::into_inner).map_err(|status| AdminError::from_status(&status))
}

fn to_proto(name: NodeName) -> v1::NodeName {
    let name = match name {
        NodeName::Id(id) => v1::node_name::Name::Id(id),
        NodeName::Address(address) => v1::node_name::Name::Address(address),
    };
    v1::NodeName { name: Some(name) }
}

fn settings(wire: Option<v1::RuntimeSettings>) -> RuntimeSettings {
    let wire = wire.unwrap_or_default();
    RuntimeSettings {
        replace_after_s: wire.replace_after_s,
        snapshot_bytes_per_s: wire.snapshot_bytes_per_s,
    }
}
