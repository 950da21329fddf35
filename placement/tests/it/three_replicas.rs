//! A placement of three replicas: who answers, and what goes on without one of them.

use ringkv_proto::v1::GetTopologyRequest;
use ringkv_services::LEADER_METADATA;
use tonic::{Code, Status};

use crate::cluster::{Cluster, is_bootstrapped, new_node};

async fn ask(cluster: &Cluster, at: usize) -> Result<(), Status> {
    cluster.client(at).register(new_node(1)).await.map(|_| ())
}

/// The replica that answers what only a leader does.
async fn leader(cluster: &Cluster) -> usize {
    cluster.join(1).await;
    for at in cluster.running() {
        if ask(cluster, at).await.is_ok() {
            return at;
        }
    }
    panic!("no replica leads any more");
}

#[tokio::test]
async fn a_follower_names_the_leader() {
    let mut cluster = Cluster::start(3, &[]);
    let leader = leader(&cluster).await;
    let follower = cluster.running().into_iter().find(|at| *at != leader).unwrap();
    let status = ask(&cluster, follower).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let hint = status.metadata().get(LEADER_METADATA).expect("a hint").to_str().unwrap();
    assert_eq!(cluster.at_address(hint), Some(leader));
    cluster.stop_all().await;
}

#[tokio::test]
async fn followers_show_the_topology_too() {
    let mut cluster = Cluster::start(3, &["--replication-factor=1"]);
    cluster.join(1).await;
    let mut seen = Vec::new();
    for at in cluster.running() {
        seen.push(cluster.watch_until(at, is_bootstrapped).await.topology.unwrap());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    cluster.stop_all().await;
}

#[tokio::test]
async fn followers_pass_on_who_is_alive() {
    let mut cluster = Cluster::start(3, &[]);
    cluster.join(1).await;
    for at in cluster.running() {
        cluster.watch_until(at, |update| update.alive_nodes == [1]).await;
    }
    cluster.stop_all().await;
}

#[tokio::test]
async fn the_others_go_on_without_the_leader_and_it_catches_up_when_it_returns() {
    let mut cluster = Cluster::start(3, &[]);
    let first = leader(&cluster).await;
    cluster.stop(first).await.unwrap();
    cluster.join(2).await;
    cluster.join(3).await;
    // The new leader has heard nothing of node 1 yet.
    cluster.join(1).await;
    let survivor = cluster.running()[0];
    let bootstrapped = cluster.watch_until(survivor, is_bootstrapped).await.topology.unwrap();
    cluster.restart(first);
    let caught_up = cluster.watch_until(first, is_bootstrapped).await.topology.unwrap();
    assert_eq!(caught_up, bootstrapped);
    cluster.stop_all().await;
}

#[tokio::test]
async fn one_of_three_decides_nothing() {
    let mut cluster = Cluster::start_some(1, 3, &[]);
    let mut client = cluster.client(0);
    let status = client.get_topology(GetTopologyRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let status = ask(&cluster, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.metadata().get(LEADER_METADATA).is_none());
    cluster.stop_all().await;
}
