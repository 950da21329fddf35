//! What operators request through the admin listener: of any replica, with progress and blockers.

use std::time::Duration;

use ringkv_proto::v1::node_name::Name;
use ringkv_proto::v1::{
    AbortOperationRequest, ClusterStatusRequest, DrainNodeRequest, GetSettingsRequest,
    ListOperationsRequest, NodeName, NodeState, Operation, OperationState, SetSettingRequest,
    UndrainNodeRequest,
};
use ringkv_services::APPLIED_METADATA;
use tonic::{Code, Status};

use crate::cluster::{Cluster, PATIENCE};

/// Three replicas of placement and a cluster of one node.
async fn of_one_node() -> Cluster {
    let cluster = Cluster::start(3, &["--replication-factor=1", "--initial-nodes=1"]);
    cluster.join(1).await;
    let is_formed = |update: &ringkv_proto::v1::TopologyUpdate| {
        update.topology.as_ref().is_some_and(|topology| !topology.slot_owners.is_empty())
    };
    for at in 0..3 {
        cluster.watch_until(at, is_formed).await;
    }
    cluster
}

fn named(name: Name) -> Option<NodeName> {
    Some(NodeName { name: Some(name) })
}

async fn set(cluster: &Cluster, at: usize, name: &str, value: &str) -> Result<u32, Status> {
    let request = SetSettingRequest { name: name.to_owned(), value: value.to_owned() };
    let reply = cluster.admin(at).set_setting(request).await?.into_inner();
    Ok(reply.runtime.expect("the settings").replace_after_s)
}

/// Lists the operations by a replica until the leader was asked and the one of an id is as wanted.
async fn operation_until(
    cluster: &Cluster,
    at: usize,
    id: u64,
    wanted: impl Fn(&Operation) -> bool,
) -> Operation {
    let list = async {
        loop {
            let reply = cluster.client(at).list_operations(ListOperationsRequest {}).await;
            if let Ok(reply) = reply.map(tonic::Response::into_inner)
                && reply.from_leader
                && let Some(found) = reply.operations.into_iter().find(|one| one.id == id)
                && wanted(&found)
            {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, list).await.expect("the operation becomes as wanted")
}

#[tokio::test]
async fn a_setting_is_changed_and_recorded_by_any_replica() {
    let mut cluster = of_one_node().await;
    for at in 0..3 {
        let seconds = 60 + u32::try_from(at).unwrap();
        assert_eq!(
            set(&cluster, at, "replace-after", &format!("{seconds}s")).await.unwrap(),
            seconds
        );
        let settings = cluster.admin(at).get_settings(GetSettingsRequest {}).await.unwrap();
        assert_eq!(settings.into_inner().runtime.unwrap().replace_after_s, seconds);
    }
    let refused = set(&cluster, 0, "replace-after", "1s").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("10s to 86400s"), "{refused}");
    assert_eq!(refused.metadata().get(APPLIED_METADATA).unwrap(), "no");
    let reply = cluster.admin(1).list_operations(ListOperationsRequest {}).await.unwrap();
    let operations = reply.into_inner().operations;
    let titles: Vec<_> = operations.iter().map(|one| one.title.as_str()).collect();
    let settings = ["60s", "61s", "62s"].map(|value| format!("setting replace-after = {value}"));
    assert!(titles.ends_with(&settings.each_ref().map(String::as_str)), "{titles:?}");
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_drain_that_cannot_end_says_what_blocks_it_and_is_taken_back() {
    let mut cluster = of_one_node().await;
    let node = named(Name::Address("node-1:50051".to_owned()));
    let request = DrainNodeRequest { node };
    let mut ids = Vec::new();
    for at in 0..3 {
        let begun = cluster.admin(at).drain_node(request.clone()).await.unwrap().into_inner();
        assert_eq!(begun.node, 1);
        ids.push(begun.operation);
    }
    assert_eq!(ids, [ids[0]; 3], "a repeated request is the same operation");
    for at in 0..3 {
        let drain = operation_until(&cluster, at, ids[0], |one| !one.blocked_by.is_empty()).await;
        assert_eq!((drain.kind.as_str(), &drain.nodes[..]), ("node_drain", &[1][..]));
        let status = cluster.admin(at).cluster_status(ClusterStatusRequest {}).await.unwrap();
        let status = status.into_inner();
        assert_eq!(status.nodes[0].state(), NodeState::Draining);
        assert_eq!(status.operations.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0]]);
    }
    let request = UndrainNodeRequest { node: named(Name::Id(1)) };
    cluster.admin(2).undrain_node(request).await.unwrap();
    let is_aborted = |one: &Operation| one.state() == OperationState::Aborted;
    operation_until(&cluster, 1, ids[0], is_aborted).await;
    cluster.stop_all().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let mut cluster = of_one_node().await;
    let mut admin = cluster.admin(0);
    let unknown = [
        admin.drain_node(DrainNodeRequest { node: named(Name::Id(99)) }).await.map(drop),
        admin
            .drain_node(DrainNodeRequest { node: named(Name::Address("nowhere:1".into())) })
            .await
            .map(drop),
        admin.abort_operation(AbortOperationRequest { operation: 99 }).await.map(drop),
    ];
    for (result, named) in unknown.into_iter().zip(["99", "nowhere:1", "99"]) {
        let status = result.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status}");
        assert!(status.message().contains(named), "{status}");
        assert_eq!(status.metadata().get(APPLIED_METADATA).unwrap(), "no", "{status}");
    }
    let unnamed = admin.drain_node(DrainNodeRequest { node: None }).await.unwrap_err();
    assert_eq!(unnamed.code(), Code::InvalidArgument);
    cluster.stop_all().await;
}
