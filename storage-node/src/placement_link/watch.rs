//! The topology watch: from any placement replica, from another one when the stream ends.

use anyhow::Context as _;
use ringkv_proto::v1::{TopologyUpdate, WatchRequest};
use ringkv_topology::{ClusterId, Topology};
use tonic::Status;

use super::client::PlacementClient;
use super::pause;

/// Calls `on_topology` with every topology of this cluster, until dropped. After a reconnect the
/// same or an older epoch may arrive again: the receiver keeps the newest.
pub(crate) async fn follow<F: Future<Output = ()>>(
    placement: &PlacementClient,
    cluster: ClusterId,
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
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::error!(%address, error, "unusable topology from placement");
                    }
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

fn checked(update: &TopologyUpdate, cluster: ClusterId) -> anyhow::Result<Topology> {
    let wire = update.topology.as_ref().context("the update has no topology")?;
    let topology = ringkv_proto::topology::from_proto(wire).context("decode the topology")?;
    anyhow::ensure!(
        topology.cluster == cluster,
        "the topology is of cluster {}, this node of cluster {cluster}",
        topology.cluster
    );
    Ok(topology)
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
        assert!(checked(&update, ClusterId(9)).is_err());
        assert!(checked(&TopologyUpdate::default(), topology.cluster).is_err());
    }
}
