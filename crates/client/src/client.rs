//! The client's calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringkv_budget::Budget;
use ringkv_kv_types::{ErrorKind, KEY_BYTES_MAX, Outcome, Record, RequestId, Written};
use ringkv_proto::kv;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, kv_reply};
use ringkv_topology::{Epoch, NodeId, Topology};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::call::Call;
use crate::cluster::{Cluster, View};
use crate::config::ClientConfig;
use crate::error::Error;
use crate::link::Reply;
use crate::operation::Operations;
use crate::options::{CallOptions, DeleteOptions, GetOptions, PutOptions};
use crate::trace::Timed;

/// A connection to a cluster; clones share it. Its tasks end when the last clone is dropped.
///
/// A caller that drops the future of a call stops waiting: whether a write applies is then
/// unknown.
///
/// ```no_run
/// use ringkv_client::{
///     Client, ClientConfig, Condition, ErrorKind, GetOptions, PutOptions, RequestId,
/// };
///
/// # async fn example() -> Result<(), ringkv_client::Error> {
/// let client = Client::connect(ClientConfig::new(vec!["127.0.0.1:7000".to_owned()]));
///
/// // Unconditionally; returns when a majority of the key's group has the value on disk.
/// let written = client.put("greeting", "hello", PutOptions::default()).await?.result;
/// let found = client.get("greeting", GetOptions::default()).await?.result;
/// assert_eq!(found.map(|record| record.revision), Some(written.revision));
///
/// // Only if no other write came in between; the id makes it safe to send again.
/// let options = PutOptions {
///     condition: Condition::revision(written.revision),
///     request_id: Some(RequestId::from_idempotency_key(b"order-7")),
///     ..PutOptions::default()
/// };
/// match client.put("greeting", "good morning", options).await {
///     Ok(_) => {}
///     Err(error) if error.kind == ErrorKind::PreconditionFailed => {
///         println!("revision {:?} is there now", error.current_revision);
///     }
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Arc<Cluster>,
    config: ClientConfig,
    calls: Budget,
    value_bytes: Budget,
    _stop: DropGuard,
}

impl Client {
    /// Starts to follow the topology and returns the client at once; calls wait for the first
    /// topology within their own deadline.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(config: ClientConfig) -> Self {
        let stop = CancellationToken::new();
        let cluster = Arc::new(Cluster::new(Arc::clone(&config.observer), stop.child_token()));
        let following = crate::placement::follow(Arc::clone(&cluster), config.placement.clone());
        let stopped = stop.child_token();
        tokio::spawn(async move { stopped.run_until_cancelled(following).await });
        let calls = Budget::new(config.in_flight_max);
        let value_bytes = Budget::new(config.in_flight_bytes_max);
        let stop = stop.drop_guard();
        Self { inner: Arc::new(Inner { cluster, config, calls, value_bytes, _stop: stop }) }
    }

    /// The record of `key`, if there is one. Linearizable.
    ///
    /// # Errors
    /// See [`ErrorKind`]; the outcome is always [`Outcome::NotApplied`].
    pub async fn get(
        &self,
        key: impl Into<Bytes>,
        options: GetOptions,
    ) -> Result<Timed<Option<Record>>, Error> {
        let GetOptions { without_value, call } = options;
        let get = v1::Get { key: checked_key(key.into())?, without_value };
        let Reply { result, timing } = self.execute(Operation::Get(get), call).await?;
        match result {
            kv_reply::Result::Found(found) => {
                Ok(Timed { result: found.record.map(kv::record_from_proto), timing })
            }
            _ => Err(unexpected(Outcome::NotApplied)),
        }
    }

    /// Writes `value` under `key`. Returns after a quorum has it on disk.
    ///
    /// # Errors
    /// See [`ErrorKind`]; after [`Outcome::Unknown`] ask again under the same request id only.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        options: PutOptions,
    ) -> Result<Timed<Written>, Error> {
        let (key, value) = (checked_key(key.into())?, value.into());
        if let Some(limit) = self.value_bytes_max()
            && value.len() as u64 > limit
        {
            let message = format!("the value has {} bytes, more than {limit}", value.len());
            return Err(Error::too_large(ErrorKind::ValueTooLarge, message, limit));
        }
        let put = v1::Put {
            key,
            value,
            content_type: options.content_type,
            metadata: kv::metadata_to_proto(options.metadata),
            condition: kv::condition_to_proto(&options.condition),
            request_id: Some(request_id(options.request_id)),
            return_previous: options.return_previous,
        };
        self.write(Operation::Put(put), options.call).await
    }

    /// Deletes the record of `key`. Returns after a quorum has it on disk.
    ///
    /// # Errors
    /// [`ErrorKind::KeyNotFound`] if there is none; otherwise as [`Client::put`].
    pub async fn delete(
        &self,
        key: impl Into<Bytes>,
        options: DeleteOptions,
    ) -> Result<Timed<Written>, Error> {
        let delete = v1::Delete {
            key: checked_key(key.into())?,
            condition: kv::condition_to_proto(&options.condition),
            request_id: Some(request_id(options.request_id)),
            return_previous: options.return_previous,
        };
        self.write(Operation::Delete(delete), options.call).await
    }

    /// The topology in use; `None` before the first one arrived.
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.view().map(|view| Arc::clone(&view.topology))
    }

    /// The topology in use with placement's hints; `None` before the first one arrived.
    pub fn view(&self) -> Option<Arc<View>> {
        self.inner.cluster.view()
    }

    /// The operations of the cluster, as some placement replica knows them.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] when no placement replica answers.
    pub async fn operations(&self) -> Result<Operations, Error> {
        crate::placement::operations(&self.inner.config.placement).await.ok_or_else(|| {
            let message = "no placement replica answers";
            Error::new(ErrorKind::NotReady, Outcome::NotApplied, message)
        })
    }

    /// The epoch in use; 0 before the first topology.
    pub fn epoch(&self) -> Epoch {
        self.inner.cluster.router.read().epoch()
    }

    /// The largest value the cluster takes, in bytes; `None` before the first topology.
    pub fn value_bytes_max(&self) -> Option<u64> {
        self.inner.cluster.value_bytes_max()
    }

    /// How long no placement replica has been watched. Zero while one is: its connection is
    /// checked every second.
    pub fn topology_age(&self) -> Duration {
        self.inner.cluster.topology_age()
    }

    /// Every active node of the topology, ascending, and whether there is a connection to it.
    pub fn connected(&self) -> Vec<(NodeId, bool)> {
        self.inner.cluster.links.connected()
    }

    /// Whether calls can be routed: the client has the topology of a bootstrapped cluster.
    pub fn is_ready(&self) -> bool {
        self.inner
            .cluster
            .router
            .read()
            .topology()
            .is_some_and(|topology| topology.is_bootstrapped())
    }

    /// Waits until calls can be routed.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] after `timeout`.
    pub async fn ready(&self, timeout: Duration) -> Result<Arc<View>, Error> {
        let mut updates = self.inner.cluster.updates();
        let formed = async {
            loop {
                if let Some(view) = self.view().filter(|view| view.topology.is_bootstrapped()) {
                    return view;
                }
                if updates.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(timeout, formed).await.map_err(|_| {
            let message =
                format!("the cluster was not bootstrapped within {} ms", timeout.as_millis());
            Error::new(ErrorKind::NotReady, Outcome::NotApplied, message)
        })
    }

    async fn write(
        &self,
        operation: Operation,
        call: CallOptions,
    ) -> Result<Timed<Written>, Error> {
        let Reply { result, timing } = self.execute(operation, call).await?;
        match result {
            kv_reply::Result::Written(written) => {
                Ok(Timed { result: kv::written_from_proto(written), timing })
            }
            _ => Err(unexpected(Outcome::Unknown)),
        }
    }

    async fn execute(&self, operation: Operation, call: CallOptions) -> Result<Reply, Error> {
        let Inner { cluster, config, calls, value_bytes, .. } = &*self.inner;
        let bytes = match &operation {
            Operation::Put(put) => put.value.len(),
            Operation::Get(_) | Operation::Delete(_) => 0,
        };
        let shares = (calls.take_share(1), value_bytes.take_share(value_bytes.weight(bytes)));
        let (Some(_call), Some(_bytes)) = shares else {
            let message = "too many calls are open in this client";
            return Err(Error::new(ErrorKind::Overloaded, Outcome::NotApplied, message));
        };
        Call::new(cluster, config, operation, call).run().await
    }
}

fn checked_key(key: Bytes) -> Result<Bytes, Error> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let message = format!("the key has {} bytes, not 1 to {KEY_BYTES_MAX}", key.len());
        return Err(Error::too_large(ErrorKind::BadKey, message, KEY_BYTES_MAX as u64));
    }
    Ok(key)
}

/// The id of a write: the caller's, or else a random one.
fn request_id(named: Option<RequestId>) -> v1::RequestId {
    let random = || RequestId { id: rand::random(), chosen_by_user: false };
    kv::request_id_to_proto(named.unwrap_or_else(random))
}

/// The error for a server that answers a read with the result of a write, or the reverse.
fn unexpected(outcome: Outcome) -> Error {
    Error::new(ErrorKind::Internal, outcome, "unexpected reply type from a storage node")
}
