//! Calls to the other placement processes: who they are, and one command for the leader.

use std::time::Duration;

use bytes::Bytes;
use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::members_view;
use ringkv_placement_core::start::Answer;
use ringkv_proto::v1::{DescribeReply, DescribeRequest, ProposeRequest};
use ringkv_services::LEADER_METADATA;
use ringkv_services::v1::placement_peers_client::PlacementPeersClient;
use ringkv_topology::ClusterId;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// A process that does not answer within this counts as away.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A change of leader takes about 2 s.
const PROPOSE_TIMEOUT: Duration = Duration::from_secs(6);
/// Replicas asked for the leader, one after the other.
const HOPS_MAX: usize = 4;

/// Asks the process at an address who it is; `None` if it does not answer or its answer makes no
/// sense.
pub(crate) async fn describe(address: &str) -> Option<(Answer, DescribeReply)> {
    let mut client = client(address, DESCRIBE_TIMEOUT).ok()?;
    let reply = client.describe(DescribeRequest {}).await.ok()?.into_inner();
    Some((members_view::answer(&reply)?, reply))
}

/// Sends a command to the leader, which the replica at `address` may name.
///
/// # Errors
/// No leader was reached, or it refuses what it cannot decode; a refusal of the command is a result.
pub(crate) async fn propose(
    address: &str,
    raft_cluster: ClusterId,
    command: &Command,
) -> Result<CommandResult, Status> {
    let mut address = address.to_owned();
    let mut hops = 0;
    loop {
        let request = ProposeRequest { raft_cluster: raft_cluster.0, command: command.encode() };
        let status = match client(&address, PROPOSE_TIMEOUT)?.propose(request).await {
            Ok(reply) => return decode(&reply.into_inner().result),
            Err(status) => status,
        };
        hops += 1;
        let leader = status.metadata().get(LEADER_METADATA).and_then(|hint| hint.to_str().ok());
        match leader.filter(|leader| *leader != address && hops < HOPS_MAX) {
            Some(leader) if status.code() == Code::Unavailable => address = leader.to_owned(),
            _ => return Err(status),
        }
    }
}

fn decode(result: &Bytes) -> Result<CommandResult, Status> {
    CommandResult::decode(result).map_err(|error| Status::internal(error.to_string()))
}

fn client(address: &str, timeout: Duration) -> Result<PlacementPeersClient<Channel>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Status::invalid_argument(error.to_string()))?
        .connect_timeout(DESCRIBE_TIMEOUT)
        .timeout(timeout)
        .tcp_nodelay(true);
    Ok(PlacementPeersClient::new(endpoint.connect_lazy()))
}
