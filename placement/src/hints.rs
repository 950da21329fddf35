//! Relays hints from the placement leader to a follower's own watchers.
//!
//! Only the leader of placement receives heartbeats. Its followers watch it and pass its hints on,
//! so that a watcher may use any replica. A watching replica identifies itself by metadata, and a
//! replica that does not lead rejects it: hints are relayed once, never in a circle.

use std::sync::Arc;
use std::time::Duration;

use ringkv_placement_core::hints::Hints;
use ringkv_proto::v1::WatchRequest;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::placement_client::PlacementClient;
use ringkv_topology::NodeId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Request, Status};

use crate::addresses::Addresses;
use crate::replica::Replica;

/// Metadata key that marks a watch by another placement replica.
pub(crate) const RELAY_METADATA: &str = "ringkv-relay";

/// Pause between attempts, and between checks of who leads.
const PAUSE: Duration = Duration::from_millis(500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A leader that disappears silently is detected within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Follows the leader's hints while another replica leads, until `closing`. The hints are empty
/// while this replica leads or no leader can be reached.
pub(crate) fn follow(
    me: NodeId,
    replica: Arc<Replica>,
    peers: Arc<Addresses>,
    closing: CancellationToken,
) -> watch::Receiver<Hints> {
    let (sender, hints) = watch::channel(Hints::default());
    let follow = async move {
        loop {
            let leader = replica.leader().filter(|leader| *leader != me);
            let known = leader.and_then(|leader| Some((leader, peers.get(leader)?)));
            if let Some((leader, address)) = known {
                tokio::select! {
                    ended = pass_on(&address, &sender) => if let Err(status) = ended {
                        tracing::debug!(%leader, reason = status.message(), "watch of the leader ended");
                    },
                    () = leader_changed(&replica, leader) => {}
                }
                sender.send_replace(Hints::default());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::spawn(closing.run_until_cancelled_owned(follow));
    hints
}

async fn pass_on(address: &str, hints: &watch::Sender<Hints>) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| Status::invalid_argument(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    let mut client =
        PlacementClient::new(endpoint.connect_lazy()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let mut request = Request::new(WatchRequest {});
    request.metadata_mut().insert(RELAY_METADATA, tonic::metadata::MetadataValue::from_static("1"));
    let mut updates = client.watch(request).await?.into_inner();
    while let Some(update) = updates.message().await? {
        hints.send_replace(Hints::of(&update));
    }
    Ok(())
}

async fn leader_changed(replica: &Replica, leader: NodeId) {
    while replica.leader() == Some(leader) {
        tokio::time::sleep(PAUSE).await;
    }
}
