//! What an operator asks of a node: its status, its metrics, its end.

use std::sync::Arc;

use ringkv_proto::v1::{StatusRequest, StopRequest};
use ringkv_services::v1::admin_client::AdminClient;
use ringkv_storage_node::StopNow;
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::clients::{connect, execute, get, put, value, written};
use crate::fake_placement::FakePlacement;
use crate::fixture::{TestNode, config, single};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_names_the_node_and_its_groups() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut admin = AdminClient::connect(format!("http://{}", node.grpc)).await.unwrap();
    let status = admin.status(StatusRequest::default()).await.unwrap().into_inner();
    assert_eq!((status.cluster, status.node), (7, 1));
    assert_eq!(status.address, node.grpc.to_string());
    assert_eq!(status.admin_address, node.admin.to_string());
    assert_eq!(status.epoch, topology.epoch.0);
    let [group] = status.groups.as_slice() else { panic!("one group: {status:?}") };
    assert_eq!((group.group, group.replica, group.role, group.leader_node), (1, 101, 2, 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_other_processes_stops_no_node() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, _) = single(dir.path()).await;
    let mut shared = AdminClient::connect(format!("http://{}", node.grpc)).await.unwrap();
    let refused = shared.stop(StopRequest { now: true }).await.unwrap_err();
    assert!(refused.message().contains(&node.admin.to_string()), "{refused}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_by_call_ends_the_node_with_everything_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    written(execute(&mut client, put(&topology, b"k", b"kept")).await);
    let mut admin = AdminClient::connect(format!("http://{}", node.admin)).await.unwrap();
    admin.stop(StopRequest { now: false }).await.unwrap();
    node.ended().await.unwrap();
    let node = TestNode::start(config(dir.path(), placement.address));
    node.ready().await;
    let mut client = connect(node.grpc).await;
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "kept");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immediate_stop_is_left_to_the_one_who_runs_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let placement = FakePlacement::start(7, 1).await;
    let called = Arc::new(Notify::new());
    let call = Arc::clone(&called);
    let mut config = config(dir.path(), placement.address);
    config.stop_now = StopNow::Call(Arc::new(move || call.notify_one()));
    let node = TestNode::start(config);
    node.ready().await;
    let mut admin = AdminClient::connect(format!("http://{}", node.admin)).await.unwrap();
    admin.stop(StopRequest { now: true }).await.unwrap();
    called.notified().await;
    node.crash().await;
}

async fn channel(node: &TestNode) -> Channel {
    Endpoint::from_shared(format!("http://{}", node.grpc)).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_grpc_health_service_says_serving_once_ready() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, _) = single(dir.path()).await;
    let mut client = HealthClient::new(channel(&node).await);
    let request = HealthCheckRequest { service: "ringkv.v1.Kv".into() };
    let answer = client.check(request).await.unwrap().into_inner();
    assert_eq!(answer.status, tonic_health::ServingStatus::Serving as i32);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_grpc_reflection_service_names_what_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, _) = single(dir.path()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel(&node).await);
    let asked = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = asked.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}")
    };
    let mut names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    let served = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "ringkv.v1.Admin",
        "ringkv.v1.Kv",
        "ringkv.v1.Raft",
    ];
    assert_eq!(names, served);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_promised_are_there_with_help() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let placement = FakePlacement::start(7, 3).await;
    let nodes = dirs.each_ref().map(|dir| TestNode::start(config(dir.path(), placement.address)));
    for node in &nodes {
        node.ready().await;
    }
    let topology = placement.bootstrapped().await;
    let mut pages = String::new();
    for node in &nodes {
        let mut client = connect(node.grpc).await;
        execute(&mut client, put(&topology, b"k", b"v")).await;
        execute(&mut client, get(&topology, b"k")).await;
        // The health of peers is looked at ten times a second.
        pages += &node.page_saying("/metrics", "raft_node_health{").await;
    }
    for name in [
        "raft_replication_lag",
        "raft_request_latency_seconds",
        "raft_node_health",
        "raft_term",
        "raft_state",
        "raft_log_size",
        "raft_committed_index",
        "ringkv_storage_fsync_seconds",
        "ringkv_raft_elections_total",
        "ringkv_raft_proposals_total",
        "ringkv_raft_groups",
        "ringkv_raft_leaders",
        "ringkv_disk_bytes",
        "ringkv_build_info",
        "process_cpu_seconds_total",
    ] {
        assert!(pages.contains(&format!("# HELP {name} ")), "no help of {name} in {pages}");
    }
    for series in [
        "raft_request_latency_seconds_count{op=\"put\"} 1",
        "raft_state{group=\"1\"} 2",
        "raft_replication_lag{group=\"1\",peer=\"",
        "raft_node_health{peer=\"1\"} 1",
        "raft_node_health{peer=\"2\"} 1",
        "ringkv_ring_epoch{component=\"storage-node\"} 2",
        "ringkv_raft_proposals_total{result=\"applied\"} 1",
        "ringkv_disk_bytes{kind=\"raft\"}",
    ] {
        assert!(pages.contains(series), "no {series} in {pages}");
    }
    for node in nodes {
        node.crash().await;
    }
}
