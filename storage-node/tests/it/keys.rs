//! Reads and writes of keys by stream and by unary call.

use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{Condition, ErrorCode, Outcome};

use crate::clients::{connect, delete, error, execute, get, put, put_if, stream, value, written};
use crate::fake_placement::FakePlacement;
use crate::fixture::{TestNode, config, single};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_put_read_deleted_and_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let first = written(execute(&mut client, put(&topology, b"k", b"one")).await);
    assert!(!first.existed && !first.repeated);
    let second = written(stream(&mut client, vec![put(&topology, b"k", b"two")]).await.remove(0));
    assert!(second.existed && second.revision > first.revision);
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "two");
    let gone = written(execute(&mut client, delete(&topology, b"k")).await);
    assert!(gone.existed && gone.revision > second.revision);
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await), None);
    let again = error(execute(&mut client, delete(&topology, b"k")).await);
    assert_eq!(again.code(), ErrorCode::KeyAbsent);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_that_does_not_hold_leaves_the_record_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let create = Condition { if_none_match_any: true, ..Condition::default() };
    let request = put_if(&topology, b"k", b"one", Some(create.clone()));
    let revision = written(execute(&mut client, request).await).revision;
    let request = put_if(&topology, b"k", b"two", Some(create));
    let refused = error(execute(&mut client, request).await);
    assert_eq!(refused.code(), ErrorCode::PreconditionFailed);
    assert_eq!(refused.outcome(), Outcome::NotApplied);
    assert_eq!((refused.current_revision, refused.epoch), (revision, topology.epoch.0));
    let swap = Condition { if_match: vec![revision], ..Condition::default() };
    let request = put_if(&topology, b"k", b"three", Some(swap));
    assert!(written(execute(&mut client, request).await).existed);
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "three");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_under_the_same_request_id_applies_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let request = put(&topology, b"k", b"v");
    let first = written(execute(&mut client, request.clone()).await);
    let retry = written(execute(&mut client, request.clone()).await);
    assert!(retry.repeated);
    assert_eq!((retry.revision, retry.existed), (first.revision, first.existed));
    let mut other = request;
    if let Some(Operation::Put(put)) = &mut other.operation {
        put.value = "another".into();
    }
    let reused = error(execute(&mut client, other).await);
    assert_eq!(reused.code(), ErrorCode::RequestIdReused);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_many_gets_one_reply_each() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let key = |number: u32| format!("key-{number}").into_bytes();
    let puts = (0..1_000).map(|n| put(&topology, &key(n), &key(n))).collect();
    stream(&mut client, puts).await.into_iter().for_each(|reply| drop(written(reply)));
    let gets = (0..1_000).map(|n| get(&topology, &key(n))).collect();
    for (number, reply) in (0..).zip(stream(&mut client, gets).await) {
        assert_eq!(value(reply).unwrap(), key(number));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_more_than_one_message_come_back_in_several() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let large = vec![b'x'; 1 << 20];
    written(execute(&mut client, put(&topology, b"large", &large)).await);
    // 48 MiB in all: more than any one message may hold.
    let gets = (0..48).map(|_| get(&topology, b"large")).collect();
    for reply in stream(&mut client, gets).await {
        assert_eq!(value(reply).unwrap().len(), large.len());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_a_stream_may_have_open_are_answered_busy() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let puts = (0..3_000).map(|n: u32| put(&topology, &n.to_be_bytes(), b"")).collect();
    let replies = stream(&mut client, puts).await;
    // All of them come in one message, which is taken in before anything can have been done.
    for (number, reply) in replies.into_iter().enumerate() {
        if number < 2_048 {
            written(reply);
        } else {
            let busy = error(reply);
            assert_eq!((busy.code(), busy.limit), (ErrorCode::Busy, 2_048));
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_a_write_is_unknown_at_its_deadline_and_a_read_is_not_applied() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let placement = FakePlacement::start(7, 3).await;
    let mut nodes = Vec::new();
    for dir in &dirs {
        nodes.push(TestNode::start(config(dir.path(), placement.address)));
    }
    for node in &nodes {
        node.ready().await;
    }
    let topology = placement.bootstrapped().await;
    // Find who leads the group of the key, by asking.
    let mut leader = None;
    for (index, node) in nodes.iter().enumerate() {
        let mut client = connect(node.grpc).await;
        let reply = execute(&mut client, put(&topology, b"k", b"1")).await;
        if matches!(reply, ringkv_proto::v1::kv_reply::Result::Written(_)) {
            leader = Some((index, client));
            break;
        }
    }
    let (index, mut client) = leader.expect("one of three leads");
    let survivor = nodes.remove(index);
    for node in nodes {
        node.crash().await;
    }
    let in_time = |mut request: ringkv_proto::v1::KvRequest| {
        request.timeout_ms = 50;
        request
    };
    let requests = vec![in_time(put(&topology, b"k", b"2")), in_time(get(&topology, b"k"))];
    let mut replies = stream(&mut client, requests).await;
    let read = error(replies.pop().unwrap());
    assert_eq!((read.code(), read.outcome()), (ErrorCode::Deadline, Outcome::NotApplied));
    let write = error(replies.pop().unwrap());
    assert_eq!((write.code(), write.outcome()), (ErrorCode::Deadline, Outcome::Unknown));
    survivor.crash().await;
}
