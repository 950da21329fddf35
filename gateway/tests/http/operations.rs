//! The operations of the cluster, read only.

use ringkv_proto::v1::{ListOperationsReply, Operation, OperationState};
use serde_json::json;

use crate::support::Gateway;

/// A drain that runs and is blocked, and one that has ended.
pub(crate) fn drain() -> ListOperationsReply {
    let ended = Operation {
        id: 6,
        kind: "node_join".into(),
        title: "spread to new node 4".into(),
        nodes: vec![4],
        cause: "registered".into(),
        state: OperationState::Done.into(),
        began_ms: 1_795_809_906_789,
        ended_ms: 1_795_809_907_000,
        done_steps: 9,
        total_steps: 9,
        ..Operation::default()
    };
    let running = Operation {
        id: 7,
        kind: "node_drain".into(),
        title: "drain of node 3".into(),
        nodes: vec![3],
        cause: "requested".into(),
        state: OperationState::Running.into(),
        began_ms: 1_795_809_906_789,
        done_steps: 2,
        total_steps: 12,
        done_bytes: 2_000,
        total_bytes: 3_000,
        bytes_per_s: Some(500),
        seconds_left: Some(40),
        blocked_by: vec!["3 nodes are needed for 3 replicas, 2 are left".into()],
        ..Operation::default()
    };
    ListOperationsReply { operations: vec![ended, running], from_leader: true }
}

#[tokio::test]
async fn an_operation_is_shown_with_its_progress_and_what_blocks_it() {
    let gateway = Gateway::start(&[]).await;
    gateway.fake.set_operations(drain());
    let shown = gateway.get("/operations/7").await;
    assert_eq!((shown.status, shown.header("content-type")), (200, Some("application/json")));
    let expected = json!({
        "id": 7,
        "kind": "node_drain",
        "title": "drain of node 3",
        "nodes": [3],
        "cause": "requested",
        "state": "running",
        "began": "2026-11-27T20:05:06.789Z",
        "ended": null,
        "steps": {"done": 2, "total": 12},
        "bytes": {"done": 2000, "total": 3000},
        "bytes_per_s": 500,
        "seconds_left": 40,
        "blocked_by": ["3 nodes are needed for 3 replicas, 2 are left"],
    });
    assert_eq!(shown.json(), expected);
    let list = gateway.get("/operations").await.json();
    assert_eq!((&list["from_leader"], &list["operations"][1]), (&true.into(), &expected));
    let ended = &list["operations"][0];
    assert_eq!(
        (&ended["state"], &ended["ended"]),
        (&"done".into(), &"2026-11-27T20:05:07.000Z".into())
    );
    assert_eq!((&ended["bytes_per_s"], &ended["seconds_left"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn every_member_of_an_operation_is_in_the_description() {
    let gateway = Gateway::start(&[]).await;
    gateway.fake.set_operations(drain());
    let document = gateway.get("/openapi.json").await.json();
    let schema = &document["components"]["schemas"]["Operation"];
    let described = schema["properties"].as_object().unwrap();
    let shown = gateway.get("/operations/7").await.json();
    let members = shown.as_object().unwrap();
    assert!(members.keys().eq(described.keys()), "{members:?}");
    assert!(schema["required"].as_array().unwrap().len() == members.len());
    let kinds = described["kind"]["enum"].as_array().unwrap();
    assert!(kinds.contains(&members["kind"]));
}

#[tokio::test]
async fn an_unknown_operation_is_a_problem() {
    let gateway = Gateway::start(&[]).await;
    gateway.fake.set_operations(drain());
    let problem = gateway.get("/operations/99").await.problem();
    assert_eq!(problem, (404, "route_not_found".to_owned(), "not_applied".to_owned()));
    let problem = gateway.get("/operations/last").await.problem();
    assert_eq!(problem, (400, "bad_parameter".to_owned(), "not_applied".to_owned()));
    let problem = gateway.send("DELETE", "/operations/7", &[], b"").await.problem();
    assert_eq!(problem.0, 405);
}

#[tokio::test]
async fn without_placement_the_operations_are_unknown() {
    let fake = ringkv_client::fake::FakeCluster::start(1).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let placement = closed.local_addr().unwrap().to_string();
    drop(closed);
    let gateway = Gateway::with_placement(&placement, fake, &[]);
    let problem = gateway.get("/operations").await.problem();
    assert_eq!(problem, (503, "not_ready".to_owned(), "not_applied".to_owned()));
}
