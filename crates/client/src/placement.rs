//! Follows the topology: one watch stream from any placement replica, another when it ends.
//!
//! Retries for ever: while no replica can be reached, the last topology stays in use. A replica that
//! sends the topology of another cluster than the first is treated like one that cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use ringkv_proto::topology;
use ringkv_proto::v1;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::placement_client::PlacementClient;
use ringkv_topology::{GroupId, NodeId};
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::backoff::Backoff;
use crate::cluster::{Cluster, OtherCluster, View};
use crate::link::endpoint;
use crate::operation::Operations;

/// After this time without a topology from one replica, the next one is asked.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Refreshes are at least this far apart.
const REFRESH_INTERVAL: Duration = Duration::from_millis(20);
const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_LONGEST: Duration = Duration::from_secs(1);

/// Between two log lines about a placement of another cluster.
const OTHER_CLUSTER_LOG_INTERVAL: Duration = Duration::from_secs(60);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Keeps `cluster` up to date until dropped; starts at a random one of `addresses`.
pub(crate) async fn follow(cluster: Arc<Cluster>, addresses: Vec<String>) {
    let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
    let mut warned: Option<Instant> = None;
    let start = rand::random_range(0..addresses.len().max(1));
    for address in addresses.iter().cycle().skip(start) {
        let began = Instant::now();
        if let Err(error) = follow_one(&cluster, address).await {
            let is_due = warned.is_none_or(|at| at.elapsed() >= OTHER_CLUSTER_LOG_INTERVAL);
            if error.is::<OtherCluster>() && is_due {
                warned = Some(Instant::now());
                tracing::error!(%address, %error, "using the last topology; check the addresses");
            } else {
                tracing::debug!(%address, %error, "watch of a placement replica ended");
            }
        }
        cluster.watching(false);
        if began.elapsed() > RECONNECT_LONGEST {
            backoff.reset();
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Applies what one replica sends until its stream ends.
async fn follow_one(cluster: &Cluster, address: &str) -> Result<(), Failure> {
    let endpoint = endpoint(address)?;
    let (mut client, mut updates) = tokio::time::timeout(FIRST_ANSWER_TIMEOUT, async {
        let mut client = PlacementClient::new(endpoint.connect().await?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut updates = client.watch(v1::WatchRequest {}).await?.into_inner();
        if let Some(update) = updates.message().await? {
            apply(cluster, update)?;
            cluster.watching(true);
        }
        Ok::<_, Failure>((client, updates))
    })
    .await??;
    let mut refreshed = Instant::now();
    loop {
        tokio::select! {
            update = updates.message() => match update? {
                Some(update) => apply(cluster, update)?,
                None => return Ok(()),
            },
            () = cluster.refresh.notified() => {
                if refreshed.elapsed() >= REFRESH_INTERVAL {
                    refreshed = Instant::now();
                    refresh(cluster, &mut client).await?;
                }
            }
        }
    }
}

/// The operations of the cluster, from the first replica that answers; `None` if none does.
pub(crate) async fn operations(addresses: &[String]) -> Option<Operations> {
    for address in addresses {
        let asked = async {
            let mut client = PlacementClient::new(endpoint(address)?.connect().await?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX);
            let reply = client.list_operations(v1::ListOperationsRequest {}).await?;
            Ok::<_, Failure>(Operations::from_proto(reply.into_inner()))
        };
        match tokio::time::timeout(FIRST_ANSWER_TIMEOUT, asked).await {
            Ok(Ok(operations)) => return Some(operations),
            Ok(Err(error)) => tracing::debug!(%address, %error, "cannot list operations"),
            Err(_) => tracing::debug!(%address, "a placement replica does not answer"),
        }
    }
    None
}

async fn refresh(cluster: &Cluster, client: &mut PlacementClient<Channel>) -> Result<(), Failure> {
    let call = client.get_topology(v1::GetTopologyRequest {});
    let update = tokio::time::timeout(FIRST_ANSWER_TIMEOUT, call).await??;
    Ok(apply(cluster, update.into_inner())?)
}

fn apply(cluster: &Cluster, update: v1::TopologyUpdate) -> Result<(), OtherCluster> {
    let Some(wire) = &update.topology else {
        // Placement has no topology yet.
        return Ok(());
    };
    match topology::from_proto(wire) {
        Ok(topology) => cluster.on_view(View {
            topology: Arc::new(topology),
            leaders: update
                .leaders
                .iter()
                .filter_map(|hint| {
                    Some((GroupId::from_wire(hint.group)?, NodeId::from_wire(hint.node)?))
                })
                .collect(),
            alive: update.alive_nodes.iter().copied().filter_map(NodeId::from_wire).collect(),
        }),
        Err(error) => {
            tracing::error!(%error, "placement sent an invalid topology");
            Ok(())
        }
    }
}
