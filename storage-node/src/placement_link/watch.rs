//! The topology watch: from any placement replica, from another one when the stream ends.

use ringkv_proto::v1::{TopologyUpdate, WatchRequest};
use ringkv_topology::{ClusterId, Topology};
use tonic::Status;

use super::client::PlacementClient;
use super::foreign::ForeignPlacement;
use super::pause;

/// Calls `on_topology` with every topology of this cluster, until dropped. After a reconnect the
/// same or an older epoch may arrive again: the receiver keeps the newest. A replica that sends
/// the topology of another cluster raises the alarm, and the next one is asked.
pub(crate) async fn follow<F: Future<Output = ()>>(
    placement: &PlacementClient,
    cluster: ClusterId,
    foreign: &ForeignPlacement,
    on_topology: impl Fn(Topology) -> F,
) {
    let mut failures = 0;
    for address in placement.addresses().iter().cycle() {
        let mut got_one = false;
        let ended = async {
            let mut stream = placement.client(address)?.watch(WatchRequest {}).await?.into_inner();
            while let Some(update) = stream.message().await? {
                match checked(&update, cluster) {
                    Ok(topology) => {
                        got_one = true;
                        on_topology(topology).await;
                    }
                    Err(error @ Unusable::Foreign { .. }) => {
                        foreign.raise(&format!("placement at {address}: {error}"));
                        return Err(Status::failed_precondition(error.to_string()));
                    }
                    Err(error) => tracing::error!(%address, %error, "unusable topology"),
                }
            }
            Ok::<_, Status>(())
        };
        let ended = ended.await;
        failures = if got_one { 0 } else { failures + 1 };
        match ended {
            Ok(()) => tracing::debug!(%address, "topology watch ended; trying the next replica"),
            Err(status) => tracing::debug!(
                %address,
                reason = status.message(),
                "topology watch lost; trying the next replica"
            ),
        }
        tokio::time::sleep(pause(failures)).await;
    }
}

/// Why an update is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the topology is of cluster {theirs}, this node of cluster {ours}")]
    Foreign { ours: ClusterId, theirs: ClusterId },
    #[error("the update has no topology")]
    Empty,
    #[error("decode the topology: {0}")]
    Malformed(String),
}

fn checked(update: &TopologyUpdate, ours: ClusterId) -> Result<Topology, Unusable> {
    let wire = update.topology.as_ref().ok_or(Unusable::Empty)?;
    let topology = ringkv_proto::topology::from_proto(wire)
        .map_err(|error| Unusable::Malformed(error.to_string()))?;
    if topology.cluster == ours {
        return Ok(topology);
    }
    Err(Unusable::Foreign { ours, theirs: topology.cluster })
}

#[cfg(test)]
mod tests {
    use ringkv_storage_core::testing::topology::bootstrapped;

    use super::*;

    #[test]
    fn a_topology_of_another_cluster_is_turned_away() {
        let topology = bootstrapped(1);
        let wire = ringkv_proto::topology::to_proto(&topology);
        let update = TopologyUpdate { topology: Some(wire), ..TopologyUpdate::default() };
        assert_eq!(checked(&update, topology.cluster).unwrap(), topology);
        assert!(matches!(checked(&update, ClusterId(9)), Err(Unusable::Foreign { .. })));
        let empty = checked(&TopologyUpdate::default(), topology.cluster);
        assert!(matches!(empty, Err(Unusable::Empty)));
    }
}
