//! A node's starts and stops: what survives them, and which are refused.

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
async fn a_directory_of_another_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, _) = single(dir.path()).await;
    node.stop().await;
    let other = FakePlacement::start(8, 1).await;
    let refused = TestNode::start(config(dir.path(), other.address)).ended().await;
    let error = format!("{:#}", refused.unwrap_err());
    assert!(error.contains("belongs to node 1 of cluster 7"), "{error}");
    assert!(error.contains("this is cluster 8"), "{error}");
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
