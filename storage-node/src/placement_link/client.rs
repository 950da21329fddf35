//! Calls to placement: first the last known leader, then the leader it names, then the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use ringkv_services::v1::placement_client;
use ringkv_services::{LEADER_METADATA, MESSAGE_BYTES_MAX, NodeRefusal, REFUSAL_METADATA};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

pub(super) type Client = placement_client::PlacementClient<Channel>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A replica that does not answer within this is passed over.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// A dead connection is noticed within these two together, also under an idle watch.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections kept: more than placement has replicas, and hints cannot grow it without end.
const CHANNELS_MAX: usize = 16;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Placement has decided. Without a reason that the node acts on: a retry returns the same.
    #[error("placement refused: {}", .status.message())]
    Refused { reason: Option<NodeRefusal>, status: Status },
    /// No replica could answer; this is the error of the last one.
    #[error("placement at {address} is unavailable: {}", .status.message())]
    Unavailable { address: String, status: Status },
}

/// All placement replicas as one. Shared by the tasks of the link.
#[derive(Debug)]
pub(crate) struct PlacementClient {
    addresses: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The replica that last did what only a leader can.
    leader: Option<String>,
    channels: BTreeMap<String, Channel>,
}

impl PlacementClient {
    /// A client of the replicas at `addresses` (`host:port`, at least one); connects when used.
    pub(crate) fn new(addresses: Vec<String>) -> Self {
        Self { addresses, state: Mutex::default() }
    }

    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Makes a call that only the leader answers. Ends within two seconds per replica.
    ///
    /// # Errors
    /// [`CallError`].
    pub(super) async fn ask_leader<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut untried = self.addresses.clone();
        let mut next = self.state.lock().leader.take();
        let (mut failure, mut foreign) = (None, None);
        // Twice as many tries as replicas: each may point to one that has just stepped down.
        for _ in 0..self.addresses.len() * 2 {
            let Some(address) = next.take().or_else(|| untried.pop()) else { break };
            untried.retain(|other| *other != address);
            let status = match self.ask(&address, &call).await {
                Ok(answer) => {
                    self.state.lock().leader = Some(address);
                    return Ok(answer);
                }
                Err(status) => status,
            };
            match reason(&status) {
                // Another address may still lead to the placement of this cluster.
                Some(NodeRefusal::Foreign) => {
                    foreign = Some(status);
                    continue;
                }
                reason if reason.is_some() || is_final(&status) => {
                    return Err(CallError::Refused { reason, status });
                }
                _ => {}
            }
            next = leader_hint(&status).filter(|hint| *hint != address);
            failure = Some((address, status));
        }
        if let Some(status) = foreign {
            return Err(CallError::Refused { reason: Some(NodeRefusal::Foreign), status });
        }
        let (address, status) = failure.expect("there is at least one replica");
        Err(CallError::Unavailable { address, status })
    }

    async fn ask<T, F>(&self, address: &str, call: &impl Fn(Client) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = self.client(address)?;
        match tokio::time::timeout(TRY_TIMEOUT, call(client)).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("no answer within the timeout")),
        }
    }

    /// A client of one replica, over a connection that others share.
    pub(super) fn client(&self, address: &str) -> Result<Client, Status> {
        let mut state = self.state.lock();
        if !state.channels.contains_key(address) {
            if state.channels.len() >= CHANNELS_MAX {
                state.channels.clear();
            }
            state.channels.insert(address.to_owned(), connect(address)?);
        }
        let channel = state.channels[address].clone();
        Ok(Client::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
    }
}

fn connect(address: &str) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Status::unavailable(format!("invalid address {address}: {error}")))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy())
}

/// What the node has to know of a refusal.
fn reason(status: &Status) -> Option<NodeRefusal> {
    NodeRefusal::from_name(status.metadata().get(REFUSAL_METADATA)?.to_str().ok()?)
}

/// Whether another replica, or the same one later, would say the same.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::FailedPrecondition | Code::InvalidArgument)
}

fn leader_hint(status: &Status) -> Option<String> {
    Some(status.metadata().get(LEADER_METADATA)?.to_str().ok()?.to_owned())
}
