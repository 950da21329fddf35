//! A placement of one replica: what it answers, keeps and refuses.

use ringkv_placement::Listeners;
use ringkv_proto::topology::from_proto;
use ringkv_proto::v1::{HeartbeatRequest, RegisterRequest, WatchRequest};
use ringkv_services::REFUSAL_METADATA;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::cluster::{Cluster, PATIENCE, heartbeat_of, is_bootstrapped, new_node, returning};

fn bind() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn the_cluster_is_bootstrapped_once_enough_nodes_are_alive_and_watchers_see_it() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    cluster.join(2).await;
    let waiting = cluster.watch_until(0, |update| update.alive_nodes == [1, 2]).await;
    assert!(!is_bootstrapped(&waiting));
    // A node that has not stored who it is sends no heartbeat, and is not counted.
    let third = cluster.register(new_node(3)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let waiting = cluster.watch_until(0, |_| true).await;
    assert!(!is_bootstrapped(&waiting) && waiting.alive_nodes == [1, 2]);
    cluster.heartbeat(&heartbeat_of(3, &third)).await.unwrap();
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
    let confirmed = cluster.register(returning(1, &identity, 99, 2)).await.unwrap();
    assert_eq!((confirmed.cluster, confirmed.node), (identity.cluster, identity.node));
    assert_eq!((identity.secret.len(), confirmed.secret.len()), (16, 0));
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
    let identity = cluster.join(1).await;
    let stranger =
        RegisterRequest { cluster: identity.cluster + 1, ..returning(1, &identity, 9, 2) };
    let refused = cluster.register(stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("belongs to cluster"), "{}", refused.message());
    assert_eq!(refused.metadata().get(REFUSAL_METADATA).unwrap(), "foreign");
    let unknown = HeartbeatRequest { node: 7, ..heartbeat_of(1, &identity) };
    let refused = cluster.heartbeat(&unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let refused = cluster
        .register(RegisterRequest { address: "no-port".into(), ..new_node(9) })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    cluster.stop_all().await;
}

#[tokio::test]
async fn the_address_of_a_live_node_is_not_free_to_take() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.join(1).await;
    let taken = RegisterRequest { address: "node-1:50051".into(), ..new_node(99) };
    let taken = cluster.client(0).register(taken).await.unwrap_err();
    assert_eq!(taken.code(), Code::Unavailable);
    assert!(taken.message().contains("node 1"), "{}", taken.message());
    cluster.stop_all().await;
}

#[tokio::test]
async fn without_the_secret_no_address_moves() {
    let mut cluster = Cluster::start(1, &[]);
    let identity = cluster.join(1).await;
    let forged = RegisterRequest {
        secret: vec![0; 16].into(),
        address: "elsewhere:1".into(),
        ..returning(1, &identity, 9, 2)
    };
    let refused = cluster.register(forged).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("secret of node 1"), "{}", refused.message());
    let forged = HeartbeatRequest { secret: vec![0; 16].into(), ..heartbeat_of(1, &identity) };
    assert!(cluster.heartbeat(&forged).await.is_err());
    let shown = cluster.watch_until(0, |_| true).await.topology.unwrap();
    assert_eq!(shown.nodes[0].address, "node-1:50051");
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_copy_of_a_directory_waits_while_the_node_is_alive_and_an_old_one_is_refused() {
    let mut cluster = Cluster::start(1, &[]);
    let identity = cluster.join(1).await;
    let copy = RegisterRequest {
        address: "copy:1".into(),
        directory: 77,
        ..returning(1, &identity, 9, 2)
    };
    let waits = cluster.client(0).register(copy.clone()).await.unwrap_err();
    assert_eq!(waits.code(), Code::Unavailable);
    assert_eq!(waits.metadata().get(REFUSAL_METADATA).unwrap(), "served-elsewhere");
    // The node restarts in its own directory, which is faster than its silence.
    let restarted = returning(1, &identity, 10, 2);
    cluster.register(restarted.clone()).await.unwrap();
    let refused = cluster.register(copy).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("older copy"), "{}", refused.message());
    assert_eq!(refused.metadata().get(REFUSAL_METADATA).unwrap(), "directory-outdated");
    let first = heartbeat_of(1, &identity);
    let refused = cluster.heartbeat(&first).await.unwrap_err();
    assert!(refused.message().contains("another process"), "{}", refused.message());
    let second = HeartbeatRequest { incarnation: restarted.incarnation, ..first };
    cluster.heartbeat(&second).await.unwrap();
    cluster.stop_all().await;
}

#[tokio::test]
async fn an_empty_node_at_the_address_of_one_with_replicas_is_warned() {
    let mut cluster = Cluster::start(1, &["--replication-factor=1"]);
    let identity = cluster.join(1).await;
    cluster.watch_until(0, is_bootstrapped).await;
    let emptied = RegisterRequest { incarnation: 99, ..new_node(1) };
    let new = cluster.register(emptied).await.unwrap();
    assert_ne!(new.node, identity.node);
    assert!(new.warning.starts_with("node 1 had this address and holds "), "{}", new.warning);
    cluster.register(returning(1, &identity, 100, 2)).await.unwrap();
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
