//! The status of the cluster over gRPC: topology, roles, indexes.

use std::time::Duration;

use anyhow::{Context, bail};
use ringkv_proto::v1::{GetTopologyRequest, GroupStatus, StatusReply, StatusRequest, Topology};
use ringkv_services::v1::admin_client::AdminClient;
use ringkv_services::v1::placement_client::PlacementClient;
use ringkv_topology::SlotCount;
use tonic::transport::{Channel, Endpoint};

use crate::cluster::Cluster;

const ANSWER: Duration = Duration::from_secs(2);
/// The number of the leader role in `GroupStatus`.
const LEADER: u32 = 2;

/// The leader of a key's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub group: u64,
    pub term: u64,
    /// Index into `Cluster::nodes`.
    pub node: usize,
}

/// The status of a storage node.
///
/// # Errors
/// It does not answer in time.
pub async fn status(address: &str) -> anyhow::Result<StatusReply> {
    let reply = AdminClient::new(channel(address).await?).status(StatusRequest::default()).await;
    Ok(reply.with_context(|| format!("ask {address} for its status"))?.into_inner())
}

/// The status of one group on a storage node.
///
/// # Errors
/// It does not answer, or has no replica of the group.
pub async fn group_status(address: &str, group: u64) -> anyhow::Result<GroupStatus> {
    let groups = status(address).await?.groups;
    let found = groups.into_iter().find(|status| status.group == group);
    found.with_context(|| format!("{address} has no replica of group {group}"))
}

/// The group that owns `key`, according to the first placement replica.
///
/// # Errors
/// Placement does not answer, or the cluster is not bootstrapped.
pub async fn group_of(cluster: &Cluster, key: &[u8]) -> anyhow::Result<u64> {
    let topology = topology(&cluster.placement[0].address).await?;
    let slot_count = topology.settings.context("topology has settings")?.slot_count;
    let slots = SlotCount::new(slot_count).context("topology has a valid slot count")?;
    let owner = topology.slot_owners.get(usize::from(slots.slot_of(key).0));
    owner.copied().context("the cluster is bootstrapped")
}

/// The leader of `group` among the running nodes: if several report that they lead, the one with
/// the highest term.
///
/// # Errors
/// None of them leads the group.
pub async fn leader_of(cluster: &Cluster, group: u64) -> anyhow::Result<Leader> {
    let mut leader: Option<Leader> = None;
    for (node, service) in cluster.nodes.iter().enumerate() {
        if !service.is_started() {
            continue;
        }
        let Ok(status) = group_status(&service.address, group).await else { continue };
        if status.role == LEADER && leader.is_none_or(|leader| leader.term < status.term) {
            leader = Some(Leader { group, term: status.term, node });
        }
    }
    leader.with_context(|| format!("no running node leads group {group}"))
}

/// Checks that every group has a leader among the running nodes.
///
/// # Errors
/// Names a group without a leader.
pub async fn all_groups_led(cluster: &Cluster) -> anyhow::Result<()> {
    let mut groups = std::collections::BTreeMap::<u64, bool>::new();
    for service in cluster.nodes.iter().filter(|service| service.is_started()) {
        for status in status(&service.address).await?.groups {
            *groups.entry(status.group).or_default() |= status.role == LEADER;
        }
    }
    match groups.iter().find(|(_, led)| !**led) {
        Some((group, _)) => bail!("group {group} has no leader"),
        None if groups.is_empty() => bail!("there are no groups"),
        None => Ok(()),
    }
}

/// The topology of the first placement replica that answers.
///
/// # Errors
/// None answers.
pub async fn topology_of(cluster: &Cluster) -> anyhow::Result<Topology> {
    let mut last = anyhow::anyhow!("no placement replica runs");
    for replica in cluster.placement.iter().filter(|replica| replica.is_started()) {
        match topology(&replica.address).await {
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn topology(address: &str) -> anyhow::Result<Topology> {
    let mut placement = PlacementClient::new(channel(address).await?);
    let reply = placement.get_topology(GetTopologyRequest {}).await;
    let update = reply.context("ask placement for the topology")?.into_inner();
    update.topology.context("placement has a topology")
}

async fn channel(address: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    let connected = endpoint.connect_timeout(ANSWER).timeout(ANSWER).connect().await;
    connected.with_context(|| format!("connect to {address}"))
}
