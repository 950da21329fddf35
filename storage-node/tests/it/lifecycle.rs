//! A node's starts and stops: what survives them, and which are refused.

use std::fs::{remove_dir_all, remove_file};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ringkv_services::NodeRefusal;

use crate::clients::{connect, execute, get, put, value, written};
use crate::fake_placement::FakePlacement;
use crate::fixture::{TestNode, config, single};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_write_survives_a_crash_and_a_restart_without_placement() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    written(execute(&mut client, put(&topology, b"k", b"kept")).await);
    let placement_address = placement.address;
    drop(placement);
    node.crash().await;
    let node = TestNode::start(config(dir.path(), placement_address));
    node.ready().await;
    let mut client = connect(node.grpc).await;
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "kept");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_at_once_after_a_crash_under_the_eyes_of_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, mut node, topology) = single(dir.path()).await;
    for round in 0..5u8 {
        let mut client = connect(node.grpc).await;
        written(execute(&mut client, put(&topology, b"k", &[round])).await);
        node.crash().await;
        node = TestNode::start(config(dir.path(), placement.address));
        node.ready().await;
        let mut client = connect(node.grpc).await;
        assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), [round][..]);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_data_serves_on_and_alarms_when_placement_is_of_another_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    written(execute(&mut client, put(&topology, b"k", b"kept")).await);
    assert!(node.page("/metrics").await.contains("\nringkv_placement_foreign 0\n"));
    node.stop().await;
    let other = FakePlacement::start(8, 1).await;
    let node = TestNode::start(config(dir.path(), other.address));
    node.ready().await;
    node.page_saying("/metrics", "\nringkv_placement_foreign 1\n").await;
    let mut client = connect(node.grpc).await;
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "kept");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_whose_identity_was_taken_over_ends_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, _) = single(dir.path()).await;
    placement.refuse(1, NodeRefusal::DirectoryOutdated, "this directory is an older copy");
    let error = format!("{:#}", node.ended().await.unwrap_err());
    assert!(error.contains("this process is not node 1"), "{error}");
    assert!(error.contains("older copy"), "{error}");
    // It starts neither, unless it may join as another node.
    let mut config = config(dir.path(), placement.address);
    let error = format!("{:#}", TestNode::start(config.clone()).ended().await.unwrap_err());
    assert!(error.contains("belongs to node 1 of cluster 7"), "{error}");
    config.refill = true;
    let node = TestNode::start(config);
    let identity = async {
        loop {
            let text = std::fs::read_to_string(dir.path().join("identity")).unwrap_or_default();
            if text.contains("\nnode 2\n") && text.contains("\nstores yes\n") {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let identity = tokio::time::timeout(Duration::from_secs(20), identity).await;
    assert!(identity.expect("it joins as node 2").contains("\nstarts 1\n"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_stores_is_refused_before_placement_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, _) = single(dir.path()).await;
    node.stop().await;
    let address = placement.address;
    drop(placement);
    for gone in ["topology", "data"] {
        let path = dir.path().join(gone);
        let removed = if path.is_dir() { remove_dir_all(&path) } else { remove_file(&path) };
        removed.unwrap();
    }
    let error = TestNode::start(config(dir.path(), address)).ended().await.unwrap_err();
    assert!(error.to_string().contains("`data` is missing"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_identity_is_private_and_counts_the_starts() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, _) = single(dir.path()).await;
    node.crash().await;
    let node = TestNode::start(config(dir.path(), placement.address));
    node.ready().await;
    let path = dir.path().join("identity");
    let identity = std::fs::read_to_string(&path).unwrap();
    assert!(identity.contains("\nstarts 2\nstores yes\n"), "{identity}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_on_the_same_directory_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, topology) = single(dir.path()).await;
    let second = TestNode::start(config(dir.path(), placement.address)).ended().await;
    let error = second.unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    let mut client = connect(node.grpc).await;
    written(execute(&mut client, put(&topology, b"k", b"v")).await);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_waits_for_placement_is_alive_but_not_ready_and_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing listens where placement should be.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let node = TestNode::start(config(dir.path(), nowhere));
    assert!(node.page("/livez").await.starts_with("HTTP/1.1 200 "));
    let unready = node.page("/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert!(unready.contains("identity: starting"), "{unready}");
    node.stop().await;
}
