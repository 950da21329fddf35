//! Calls against a scripted cluster: what the caller gets, and what reached the nodes.

use std::time::Duration;

use bytes::Bytes;
use ringkv_client::fake::{FakeCluster, Step, VALUE_BYTES_MAX};
use ringkv_client::{
    CallOptions, Client, ClientConfig, Condition, DeleteOptions, ErrorKind, GetOptions, Outcome,
    PutOptions, RequestId,
};
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_topology::{ClusterId, Epoch, GroupId, NodeId};

/// A cluster of three nodes, all groups led by node 1, and a client that knows it.
async fn cluster() -> (FakeCluster, Client) {
    cluster_with(|_| {}).await
}

async fn cluster_with(set: impl FnOnce(&mut ClientConfig)) -> (FakeCluster, Client) {
    let fake = FakeCluster::start(3).await;
    fake.lead_all(1);
    fake.change(|topology| {
        topology.epoch = Epoch(2);
        topology.groups.values_mut().for_each(|group| group.preferred_leader = NodeId(1));
    });
    let mut config = ClientConfig::new(fake.placement());
    set(&mut config);
    let client = Client::connect(config);
    client.ready(Duration::from_secs(5)).await.expect("the fake cluster is formed");
    (fake, client)
}

fn error(code: ErrorCode) -> v1::Error {
    v1::Error::new(code, "scripted")
}

fn timeout(ms: u64) -> CallOptions {
    CallOptions { timeout: Some(Duration::from_millis(ms)), ..CallOptions::default() }
}

fn within(ms: u64) -> PutOptions {
    PutOptions { call: timeout(ms), ..PutOptions::default() }
}

/// The request id of each attempt of a put, in order.
fn request_ids(fake: &FakeCluster) -> Vec<Bytes> {
    fake.seen()
        .into_iter()
        .filter_map(|seen| match seen.request.operation? {
            Operation::Put(put) => Some(put.request_id?.id),
            _ => None,
        })
        .collect()
}

async fn value(client: &Client, key: &'static str) -> Option<Bytes> {
    client
        .get(key, GetOptions::default())
        .await
        .expect("the read is served")
        .result
        .map(|record| record.value)
}

#[tokio::test]
async fn a_written_value_is_read_back_and_deleted() {
    let (_fake, client) = cluster().await;
    let options = PutOptions { content_type: "text/plain".into(), ..PutOptions::default() };
    let written = client.put("key", "value", options).await.unwrap().result;
    assert!(!written.existed && !written.repeated);
    let record = client.get("key", GetOptions::default()).await.unwrap().result.unwrap();
    assert_eq!((record.revision, &record.value[..]), (written.revision, &b"value"[..]));
    assert_eq!((record.content_type.as_str(), record.value_bytes), ("text/plain", 5));
    let head = GetOptions { without_value: true, ..GetOptions::default() };
    let record = client.get("key", head).await.unwrap().result.unwrap();
    assert_eq!((record.value.len(), record.value_bytes), (0, 5));
    let previous = DeleteOptions { return_previous: true, ..DeleteOptions::default() };
    let deleted = client.delete("key", previous).await.unwrap().result;
    assert_eq!(deleted.previous.unwrap().value, "value");
    assert_eq!(value(&client, "key").await, None);
    let absent = client.delete("key", DeleteOptions::default()).await.unwrap_err();
    assert_eq!((absent.kind, absent.outcome), (ErrorKind::KeyNotFound, Outcome::NotApplied));
}

#[tokio::test]
async fn a_hint_is_followed_and_remembered() {
    let (fake, client) = cluster().await;
    fake.lead_all(3);
    client.put("key", "1", PutOptions::default()).await.unwrap();
    client.put("key", "2", PutOptions::default()).await.unwrap();
    let nodes: Vec<u64> = fake.seen().iter().map(|seen| seen.node.0).collect();
    assert_eq!(nodes, [1, 3, 3]);
}

#[tokio::test]
async fn a_write_cut_off_after_it_applied_is_answered_by_its_retry_and_applies_once() {
    let (fake, client) = cluster().await;
    fake.script(1, [Step::ApplyAndCut]);
    // The others do not lead; node 1 is asked again once its stream is back.
    let written = client.put("key", "value", PutOptions::default()).await.unwrap().result;
    assert!(written.repeated && !written.existed);
    let record = client.get("key", GetOptions::default()).await.unwrap().result.unwrap();
    assert_eq!(record.revision, written.revision);
    let ids = request_ids(&fake);
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0] && id.len() == 16), "{ids:?}");
}

#[tokio::test]
async fn busy_and_moved_are_retried_until_served() {
    let (fake, client) = cluster().await;
    let moved = v1::Error { epoch: 3, ..error(ErrorCode::Moved) };
    fake.script(1, [Step::Fail(error(ErrorCode::Busy)), Step::Fail(moved)]);
    client.put("key", "value", PutOptions::default()).await.unwrap();
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_moved_slot_is_asked_of_its_new_group() {
    let (fake, client) = cluster().await;
    let group = |fake: &FakeCluster| GroupId(fake.seen().last().unwrap().request.group);
    client.put("key", "1", PutOptions::default()).await.unwrap();
    let from = group(&fake);
    let to = GroupId(from.0 % 3 + 1);
    // No update is sent: the refusal alone makes the client ask for the newer topology.
    fake.change_unannounced(|topology| {
        topology.epoch = Epoch(3);
        topology.owners.iter_mut().for_each(|owner| *owner = to);
    });
    client.put("key", "2", PutOptions::default()).await.unwrap();
    assert_eq!(group(&fake), to);
}

#[tokio::test]
async fn an_unknown_outcome_stays_unknown_whatever_is_refused_later() {
    let (fake, client) = cluster().await;
    fake.script(1, [Step::ApplyAndFail(error(ErrorCode::LeadershipLost))]);
    for node in 1..=3 {
        fake.script(node, vec![Step::Fail(error(ErrorCode::NotLeader)); 100]);
    }
    let failed = client.put("key", "value", within(300)).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::OutcomeUnknown, Outcome::Unknown));
    assert!(failed.group.is_some() && failed.is_retryable());
    assert!(request_ids(&fake).windows(2).all(|ids| ids[0] == ids[1]));
}

#[tokio::test]
async fn a_write_nobody_took_is_not_applied() {
    let (fake, client) = cluster().await;
    for node in 1..=3 {
        fake.script(node, vec![Step::Fail(error(ErrorCode::NotLeader)); 100]);
    }
    let failed = client.put("key", "value", within(100)).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::NoLeader, Outcome::NotApplied));
}

#[tokio::test]
async fn a_group_that_stays_busy_is_said_to_be() {
    let (fake, client) = cluster().await;
    fake.script(1, vec![Step::Fail(error(ErrorCode::Busy)); 100]);
    let failed = client.put("key", "value", within(100)).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::Overloaded, Outcome::NotApplied));
}

#[tokio::test]
async fn silence_is_unknown_for_a_write_and_not_applied_for_a_read() {
    let (fake, client) = cluster().await;
    fake.script(1, [Step::Hang, Step::Hang]);
    let failed = client.put("key", "value", within(100)).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::OutcomeUnknown, Outcome::Unknown));
    let read = client.get("key", GetOptions { call: timeout(100), ..GetOptions::default() });
    fake.script(2, [Step::Hang]);
    fake.script(3, [Step::Hang]);
    let failed = read.await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::NoLeader, Outcome::NotApplied));
}

#[tokio::test]
async fn a_silent_node_is_left_after_the_attempts_time_under_the_same_request_id() {
    let (fake, client) =
        cluster_with(|config| config.attempt_timeout = Duration::from_millis(50)).await;
    fake.script(1, [Step::ApplyAndHang]);
    let written = client.put("key", "value", PutOptions::default()).await.unwrap().result;
    assert!(written.repeated);
    let ids = request_ids(&fake);
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn an_internal_fault_is_final_and_unknown_and_keeps_its_cause_to_itself() {
    let (fake, client) = cluster().await;
    let fault = v1::Error::new(ErrorCode::Internal, "cannot open /var/lib/secret");
    fake.script(1, [Step::Fail(fault)]);
    let failed = client.put("key", "value", PutOptions::default()).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::Internal, Outcome::Unknown));
    assert!(!failed.to_string().contains("secret"));
}

#[tokio::test]
async fn a_failed_condition_tells_the_revision_that_is_there() {
    let (_fake, client) = cluster().await;
    let revision = client.put("key", "value", PutOptions::default()).await.unwrap().result.revision;
    let absent = PutOptions { condition: Condition::absent(), ..PutOptions::default() };
    let failed = client.put("key", "other", absent).await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::PreconditionFailed);
    assert_eq!((failed.current_revision, failed.outcome), (Some(revision), Outcome::NotApplied));
    let equal = PutOptions { condition: Condition::revision(revision), ..PutOptions::default() };
    assert!(client.put("key", "other", equal).await.unwrap().result.existed);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_outcome_and_refuses_another_request() {
    let (_fake, client) = cluster().await;
    let options = || PutOptions {
        request_id: Some(RequestId::from_idempotency_key(b"order-7")),
        ..PutOptions::default()
    };
    let first = client.put("key", "value", options()).await.unwrap().result;
    let again = client.put("key", "value", options()).await.unwrap().result;
    assert_eq!((again.revision, again.repeated), (first.revision, true));
    let other = client.put("key", "other", options()).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::IdempotencyKeyReused);
    assert_eq!(value(&client, "key").await.unwrap(), "value");
}

#[tokio::test]
async fn keys_and_values_past_their_limit_never_leave_the_client() {
    let (fake, client) = cluster().await;
    for key in [Vec::new(), vec![0; 4097]] {
        let failed = client.get(key, GetOptions::default()).await.unwrap_err();
        assert_eq!((failed.kind, failed.limit), (ErrorKind::BadKey, Some(4096)));
    }
    let value = vec![0; VALUE_BYTES_MAX as usize + 1];
    let failed = client.put("key", value, PutOptions::default()).await.unwrap_err();
    let limit = Some(u64::from(VALUE_BYTES_MAX));
    assert_eq!((failed.kind, failed.limit), (ErrorKind::ValueTooLarge, limit));
    assert_eq!(failed.outcome, Outcome::NotApplied);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn one_call_too_many_is_refused_as_busy() {
    let (fake, client) = cluster_with(|config| config.in_flight_max = 1).await;
    fake.script(1, [Step::Hang]);
    let open = tokio::spawn({
        let client = client.clone();
        async move { client.put("key", "value", PutOptions::default()).await }
    });
    while fake.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let failed = client.get("key", GetOptions::default()).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::Overloaded, Outcome::NotApplied));
    open.abort();
}

#[tokio::test]
async fn many_calls_at_once_share_batches_and_each_gets_its_own_answer() {
    let (_fake, client) = cluster().await;
    let calls = (0..500u32).map(|number| {
        let client = client.clone();
        async move {
            let (key, value) = (number.to_string(), number.to_be_bytes().to_vec());
            client.put(key.clone(), value.clone(), PutOptions::default()).await.unwrap();
            let record = client.get(key, GetOptions::default()).await.unwrap().result.unwrap();
            assert_eq!(record.value, value);
        }
    });
    futures::future::join_all(calls).await;
}

#[tokio::test]
async fn a_large_value_goes_through() {
    let (_fake, client) = cluster().await;
    let large = vec![7u8; VALUE_BYTES_MAX as usize];
    client.put("key", large.clone(), PutOptions::default()).await.unwrap();
    assert_eq!(value(&client, "key").await.unwrap(), large);
}

#[tokio::test]
async fn without_a_cluster_calls_end_as_not_ready_at_their_deadline() {
    // A bound port without a server: placement cannot be reached.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::connect(ClientConfig::new(vec![closed.local_addr().unwrap().to_string()]));
    let failed = client.put("key", "value", within(50)).await.unwrap_err();
    assert_eq!((failed.kind, failed.outcome), (ErrorKind::NotReady, Outcome::NotApplied));
    assert!(client.ready(Duration::from_millis(1)).await.is_err() && !client.is_ready());
}

#[tokio::test]
async fn a_client_stays_with_the_cluster_it_first_saw() {
    let (fake, client) = cluster().await;
    client.put("k", "v", PutOptions::default()).await.expect("its own cluster");
    let before = client.view().expect("it is ready").topology.clone();
    // Placement was lost and is another one now: the same address, no groups, a higher epoch.
    fake.change(|topology| {
        topology.cluster = ClusterId(2);
        topology.epoch = Epoch(99);
        topology.groups.clear();
        topology.owners.clear();
    });
    let ages = async {
        while client.topology_age().is_zero() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ages).await.expect("the topology ages");
    assert_eq!(client.view().expect("it is ready").topology, before);
    let found = client.get("k", GetOptions::default()).await.expect("the node still answers");
    assert!(found.result.is_some());
}
