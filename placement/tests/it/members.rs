//! Placement's own replicas: lost, added, removed and moved.

use std::time::{Duration, Instant};

use ringkv_proto::v1::{
    AddReplicaRequest, GetTopologyRequest, PlacementGroup, RemoveReplicaRequest, ReplicaRole,
};
use tonic::Code;

use crate::cluster::Cluster;

/// Long enough for several rounds of a process that waits.
const SEVERAL_ROUNDS: Duration = Duration::from_secs(2);

/// The ids of the voters by place, if there is nothing but live voters and a leader.
fn settled(group: &PlacementGroup) -> Option<Vec<(u64, u64)>> {
    let is_settled = group.leader != 0
        && !group.founding
        && group.replicas.iter().all(|at| at.role() == ReplicaRole::Voter && at.alive);
    is_settled.then(|| group.replicas.iter().map(|at| (at.place, at.id)).collect())
}

fn voters(group: &PlacementGroup) -> usize {
    settled(group).map_or(0, |voters| voters.len())
}

/// Starts three replicas with a cluster.
async fn of_three() -> Cluster {
    let cluster = Cluster::start(3, &["--replication-factor=1"]);
    cluster.join(1).await;
    cluster.replicas_until(0, |group| voters(group) == 3).await;
    cluster
}

async fn leader(cluster: &Cluster) -> usize {
    let at = cluster.running()[0];
    let group = cluster.replicas_until(at, |group| group.leader != 0).await;
    let leads = group.replicas.iter().find(|replica| replica.id == group.leader);
    cluster.at_address(&leads.expect("a member").address).expect("one of ours")
}

#[tokio::test]
async fn a_wiped_replica_comes_back_under_a_new_id_by_itself() {
    let mut cluster = of_three().await;
    let follower = (leader(&cluster).await + 1) % 3;
    let place = follower as u64 + 1;
    cluster.stop(follower).await.unwrap();
    cluster.wipe(follower);
    let began = Instant::now();
    cluster.restart(follower);
    let is_new = |group: &PlacementGroup| {
        settled(group).is_some_and(|voters| voters.len() == 3 && voters.contains(&(place, 4)))
    };
    cluster.replicas_until(follower, is_new).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    cluster.watch_until(follower, |update| update.topology.is_some()).await;
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_wiped_leader_comes_back_too() {
    let mut cluster = of_three().await;
    let first = leader(&cluster).await;
    cluster.stop(first).await.unwrap();
    cluster.wipe(first);
    cluster.restart(first);
    let is_new = |group: &PlacementGroup| {
        settled(group)
            .is_some_and(|voters| voters.len() == 3 && voters.iter().any(|(_, id)| *id > 3))
    };
    cluster.replicas_until(first, is_new).await;
    cluster.stop_all().await;
}

#[tokio::test]
async fn two_wiped_replicas_wait_and_form_nothing() {
    let mut cluster = of_three().await;
    for at in 0..3 {
        cluster.stop(at).await.unwrap();
    }
    for at in 0..2 {
        cluster.wipe(at);
        cluster.restart(at);
    }
    tokio::time::sleep(SEVERAL_ROUNDS).await;
    for at in 0..2 {
        assert_eq!(cluster.describe(at).await.group, None);
        let refused = cluster.client(at).get_topology(GetTopologyRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
    cluster.restart(2);
    tokio::time::sleep(SEVERAL_ROUNDS).await;
    for at in 0..2 {
        assert_eq!(cluster.describe(at).await.group, None, "one of three decides nothing");
    }
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_replica_is_added_by_invitation_only_and_any_is_removed() {
    let mut cluster = Cluster::start_listed(3, 4, &["--replication-factor=1"]);
    cluster.replicas_until(0, |group| voters(group) == 3).await;
    cluster.listed = 4;
    cluster.restart(3);
    tokio::time::sleep(SEVERAL_ROUNDS).await;
    assert_eq!(cluster.describe(3).await.group, None, "it was not expected");
    let address = cluster.address(3);
    cluster.admin(1).add_replica(AddReplicaRequest { address }).await.unwrap();
    cluster.replicas_until(3, |group| voters(group) == 4).await;
    let leads = leader(&cluster).await;
    let address = cluster.address(leads);
    let remove = RemoveReplicaRequest { address, ..Default::default() };
    // A new leader does not know at once who is alive.
    let removed = async {
        while cluster.admin(3).remove_replica(remove.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(crate::cluster::PATIENCE, removed).await.unwrap();
    let at = cluster.running().into_iter().find(|at| *at != leads).unwrap();
    let gone = move |group: &PlacementGroup| {
        settled(group).is_some_and(|voters| {
            voters.len() == 3 && voters.iter().all(|(place, _)| *place != leads as u64 + 1)
        })
    };
    cluster.replicas_until(at, gone).await;
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_removal_that_leaves_no_majority_is_refused() {
    let mut cluster = of_three().await;
    let leads = leader(&cluster).await;
    let (stopped, third) = ((leads + 1) % 3, (leads + 2) % 3);
    cluster.stop(stopped).await.unwrap();
    let silent = |group: &PlacementGroup| group.replicas.iter().any(|replica| !replica.alive);
    cluster.replicas_until(leads, silent).await;
    let address = cluster.address(third);
    let remove = RemoveReplicaRequest { address, ..Default::default() };
    let refused = cluster.admin(third).remove_replica(remove).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("no majority"), "{}", refused.message());
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_replica_that_has_moved_makes_its_address_known() {
    let mut cluster = of_three().await;
    let follower = (leader(&cluster).await + 1) % 3;
    cluster.stop(follower).await.unwrap();
    cluster.relocate(follower);
    cluster.restart(follower);
    let address = cluster.address(follower);
    let is_there = move |group: &PlacementGroup| {
        voters(group) == 3 && group.replicas.iter().any(|replica| replica.address == address)
    };
    cluster.replicas_until(follower, is_there).await;
    cluster.stop_all().await;
}
