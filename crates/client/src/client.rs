//! The client's calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, kv_reply};
use ringkv_topology::{Epoch, NodeId, Topology};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::budget::Budget;
use crate::call::Call;
use crate::cluster::{Cluster, View};
use crate::config::ClientConfig;
use crate::error::{Error, ErrorKind, Outcome};
use crate::link::Reply;
use crate::trace::CallTrace;
use crate::types::{
    DeleteOptions, Found, GetOptions, KEY_BYTES_MAX, PutOptions, Record, RequestId, Written,
    metadata_to_proto,
};

/// A connection to a cluster; clones share it. Its tasks end when the last clone is dropped.
///
/// Dropping the future of a call gives up waiting: whether a write applies is then unknown.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Arc<Cluster>,
    config: ClientConfig,
    budget: Budget,
    _stop: DropGuard,
}

impl Client {
    /// Starts to follow the topology and gives the client at once; calls wait for the first
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
        let budget = Budget::new(config.in_flight_max, config.in_flight_bytes_max);
        Self { inner: Arc::new(Inner { cluster, config, budget, _stop: stop.drop_guard() }) }
    }

    /// The record of `key`, if there is one. Linearizable.
    ///
    /// # Errors
    /// See [`ErrorKind`]; the outcome is always [`Outcome::NotApplied`].
    pub async fn get(&self, key: impl Into<Bytes>, options: GetOptions) -> Result<Found, Error> {
        let key = checked_key(key.into())?;
        let operation = Operation::Get(v1::Get { key, without_value: options.without_value });
        let Reply { result, timing } =
            self.execute(operation, 0, options.timeout, options.trace).await?;
        match result {
            kv_reply::Result::Found(found) => {
                Ok(Found { record: found.record.map(Record::from), timing })
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
    ) -> Result<Written, Error> {
        let (key, value) = (checked_key(key.into())?, value.into());
        if let Some(limit) = self.inner.cluster.value_bytes_max()
            && value.len() as u64 > limit
        {
            let message = format!("the value has {} bytes, more than {limit}", value.len());
            return Err(Error::too_large(ErrorKind::ValueTooLarge, message, limit));
        }
        let bytes = value.len();
        let put = v1::Put {
            key,
            value,
            content_type: options.content_type,
            metadata: metadata_to_proto(options.metadata),
            condition: options.condition.to_proto(),
            request_id: Some(options.request_id.unwrap_or_else(RequestId::random).to_proto()),
            return_previous: options.return_previous,
        };
        self.write(Operation::Put(put), bytes, options.timeout, options.trace).await
    }

    /// Deletes the record of `key`. Returns after a quorum has it on disk.
    ///
    /// # Errors
    /// [`ErrorKind::KeyAbsent`] if there is none; else as [`Client::put`].
    pub async fn delete(
        &self,
        key: impl Into<Bytes>,
        options: DeleteOptions,
    ) -> Result<Written, Error> {
        let delete = v1::Delete {
            key: checked_key(key.into())?,
            condition: options.condition.to_proto(),
            request_id: Some(options.request_id.unwrap_or_else(RequestId::random).to_proto()),
            return_previous: options.return_previous,
        };
        self.write(Operation::Delete(delete), 0, options.timeout, options.trace).await
    }

    /// The topology in use; `None` before the first one arrived.
    pub fn topology(&self) -> Option<Arc<Topology>> {
        self.view().map(|view| Arc::clone(&view.topology))
    }

    /// The topology in use with placement's hints; `None` before the first one arrived.
    pub fn view(&self) -> Option<Arc<View>> {
        self.inner.cluster.view()
    }

    /// The epoch in use; 0 before the first topology.
    pub fn epoch(&self) -> Epoch {
        self.inner.cluster.router.read().epoch()
    }

    /// The largest value the cluster takes, in bytes; `None` before the first topology.
    pub fn value_bytes_max(&self) -> Option<u64> {
        self.inner.cluster.value_bytes_max()
    }

    /// How long no placement replica has been heard; zero while one is watched: it is asked for a
    /// sign of life every second.
    pub fn topology_age(&self) -> Duration {
        self.inner.cluster.topology_age()
    }

    /// Every active node of the topology, ascending, and whether there is a connection to it.
    pub fn connected(&self) -> Vec<(NodeId, bool)> {
        self.inner.cluster.links.connected()
    }

    /// Whether calls can be routed: a topology of a formed cluster is there.
    pub fn is_ready(&self) -> bool {
        self.inner.cluster.router.read().topology().is_some_and(|topology| topology.is_formed())
    }

    /// Waits until calls can be routed.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] after `timeout`.
    pub async fn ready(&self, timeout: Duration) -> Result<Arc<View>, Error> {
        let mut updates = self.inner.cluster.updates();
        let formed = async {
            loop {
                if let Some(view) = self.view().filter(|view| view.topology.is_formed()) {
                    return view;
                }
                if updates.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(timeout, formed).await.map_err(|_| {
            let message = format!("the cluster did not form within {} ms", timeout.as_millis());
            Error::new(ErrorKind::NotReady, Outcome::NotApplied, message)
        })
    }

    async fn write(
        &self,
        operation: Operation,
        value_bytes: usize,
        timeout: Option<Duration>,
        trace: Option<CallTrace>,
    ) -> Result<Written, Error> {
        let Reply { result, timing } = self.execute(operation, value_bytes, timeout, trace).await?;
        match result {
            kv_reply::Result::Written(written) => Ok(Written::from_proto(written, timing)),
            _ => Err(unexpected(Outcome::Unknown)),
        }
    }

    async fn execute(
        &self,
        operation: Operation,
        value_bytes: usize,
        timeout: Option<Duration>,
        trace: Option<CallTrace>,
    ) -> Result<Reply, Error> {
        let inner = &*self.inner;
        let Some(_share) = inner.budget.take(value_bytes) else {
            let message = "too many calls are open in this client";
            return Err(Error::new(ErrorKind::Busy, Outcome::NotApplied, message));
        };
        let timeout = timeout.unwrap_or(inner.config.timeout);
        let attempt_timeout = inner.config.attempt_timeout;
        Call::new(&inner.cluster, operation, trace, timeout, attempt_timeout).run().await
    }
}

fn checked_key(key: Bytes) -> Result<Bytes, Error> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let message = format!("the key has {} bytes, not 1 to {KEY_BYTES_MAX}", key.len());
        return Err(Error::too_large(ErrorKind::KeyInvalid, message, KEY_BYTES_MAX as u64));
    }
    Ok(key)
}

/// A server that answers a read as a write or the other way round.
fn unexpected(outcome: Outcome) -> Error {
    Error::new(ErrorKind::Internal, outcome, "a storage node answered another question")
}
