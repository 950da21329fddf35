//! A placement of one replica: what it answers, keeps and refuses.

use ringkv_placement::Listeners;
use ringkv_proto::topology::from_proto;
use ringkv_proto::v1::{RegisterRequest, WatchRequest};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::cluster::{Cluster, PATIENCE, is_bootstrapped};

fn bind() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

fn fresh(address: &str, incarnation: u64) -> RegisterRequest {
    RegisterRequest { address: address.into(), incarnation, ..Default::default() }
}

#[tokio::test]
async fn the_cluster_is_bootstrapped_once_enough_nodes_are_alive_and_watchers_see_it() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    cluster.join(2).await;
    let waiting = cluster.watch_until(0, |update| update.alive_nodes == [1, 2]).await;
    assert!(!is_bootstrapped(&waiting));
    cluster.join(3).await;
    let bootstrapped = cluster.watch_until(0, is_bootstrapped).await;
    let topology = from_proto(&bootstrapped.topology.unwrap()).unwrap();
    assert_eq!((topology.groups.len(), topology.owners.len()), (12, 4096));
    cluster.stop_all().await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut cluster = Cluster::start(1, &["--replication-factor=1"]);
    let identity = cluster.join(1).await;
    let before = cluster.watch_until(0, is_bootstrapped).await.topology;
    cluster.stop(0).await.unwrap();
    cluster.restart(0);
    let after = cluster.watch_until(0, is_bootstrapped).await.topology;
    assert_eq!(before, after);
    let confirmed = RegisterRequest {
        cluster: identity.cluster,
        node: identity.node,
        ..fresh("node-1:50051", 99)
    };
    assert_eq!(cluster.register(confirmed).await.unwrap(), identity);
    cluster.stop_all().await;
}

#[tokio::test]
async fn the_nodes_of_the_servers_file_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("servers");
    std::fs::write(&file, "node-2:50051\n").unwrap();
    let flags = ["--replication-factor=1", &format!("--servers-file={}", file.display())];
    let mut cluster = Cluster::start(1, &flags);
    cluster.join(1).await;
    let waiting = cluster.watch_until(0, |update| update.alive_nodes == [1]).await;
    assert!(!is_bootstrapped(&waiting));
    cluster.join(2).await;
    cluster.watch_until(0, is_bootstrapped).await;
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_node_that_is_none_of_the_clusters_is_refused_for_good() {
    let mut cluster = Cluster::start(1, &[]);
    let mut identity = cluster.join(1).await;
    let stranger =
        RegisterRequest { cluster: identity.cluster + 1, node: 1, ..fresh("node-1:50051", 9) };
    let refused = cluster.register(stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("belongs to cluster"), "{}", refused.message());
    identity.node = 7;
    let refused = cluster.heartbeat(&identity).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = cluster.register(fresh("no-port", 9)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    cluster.stop_all().await;
}

#[tokio::test]
async fn the_address_of_a_live_node_is_not_free_to_take() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    let taken = cluster.client(0).register(fresh("node-1:50051", 99)).await.unwrap_err();
    assert_eq!(taken.code(), Code::Unavailable);
    assert!(taken.message().contains("node 1"), "{}", taken.message());
    cluster.stop_all().await;
}

#[tokio::test]
async fn settings_other_than_the_clusters_end_the_process() {
    let mut cluster = Cluster::start(1, &["--replication-factor=1"]);
    cluster.join(1).await;
    cluster.stop(0).await.unwrap();
    cluster.flags.push("--slot-count=64".into());
    cluster.restart(0);
    let error = format!("{:#}", cluster.ended(0).await.unwrap_err());
    assert!(error.starts_with("--slot-count: the cluster was created with 4096"), "{error}");
}

#[tokio::test]
async fn a_second_process_on_the_directory_is_refused() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    let listeners = Listeners { grpc: bind(), metrics: bind(), admin: None };
    let config = cluster.config(0, cluster.dir(0));
    let second = ringkv_placement::serve(config, listeners, CancellationToken::new());
    let error = tokio::time::timeout(PATIENCE, second).await.unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("in use by another process"), "{error:#}");
    cluster.stop_all().await;
}

#[tokio::test]
async fn stopping_ends_the_watches() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    let mut updates = cluster.client(0).watch(WatchRequest {}).await.unwrap().into_inner();
    updates.message().await.unwrap().expect("a first update");
    cluster.stop(0).await.unwrap();
    let rest = async { while let Ok(Some(_)) = updates.message().await {} };
    tokio::time::timeout(PATIENCE, rest).await.expect("the stream ends");
}
