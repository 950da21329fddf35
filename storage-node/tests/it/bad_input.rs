//! What clients must not send: each gets a clear error, and nothing breaks.

use bytes::Bytes;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{ErrorCode, KvRequest, Outcome, Put};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::clients::{connect, error, execute, get, put, request, stream, value, written};
use crate::fixture::{VALUE_BYTES_MAX, single};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_request_of_a_batch_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await;
    let no_request_id = Put { key: Bytes::from_static(b"k"), ..Put::default() };
    let stranger = KvRequest { group: 99, ..get(&topology, b"k") };
    let from_the_future = KvRequest { group: 99, epoch: 1_000, ..get(&topology, b"k") };
    let too_large = vec![0; VALUE_BYTES_MAX as usize + 1];
    let cases = [
        (put(&topology, b"", b"v"), ErrorCode::KeyInvalid, 4_096),
        (put(&topology, &[b'k'; 4_097], b"v"), ErrorCode::KeyInvalid, 4_096),
        (put(&topology, b"k", &too_large), ErrorCode::ValueTooLarge, u64::from(VALUE_BYTES_MAX)),
        (request(&topology, b"k", Operation::Put(no_request_id)), ErrorCode::Invalid, 0),
        (KvRequest { operation: None, ..get(&topology, b"k") }, ErrorCode::Invalid, 0),
        (stranger, ErrorCode::Moved, 0),
        (from_the_future, ErrorCode::NoGroup, 0),
    ];
    let mut requests: Vec<KvRequest> = cases.iter().map(|(request, ..)| request.clone()).collect();
    requests.push(put(&topology, b"fine", b"v"));
    let mut replies = stream(&mut client, requests).await;
    written(replies.pop().unwrap());
    for ((request, code, limit), reply) in cases.into_iter().zip(replies) {
        let error = error(reply);
        assert_eq!((error.code(), error.limit), (code, limit), "{error:?} for {request:?}");
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(!error.message.is_empty());
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_limit_ends_its_stream_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let mut client = connect(node.grpc).await.max_encoding_message_size(usize::MAX);
    let huge = put(&topology, b"k", &vec![0; 40 << 20]);
    assert!(client.execute(huge).await.is_err());
    written(execute(&mut client, put(&topology, b"k", b"v")).await);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_port_leaves_it_alive() {
    let dir = tempfile::tempdir().unwrap();
    let (_placement, node, topology) = single(dir.path()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let garbage: Vec<u8> = (0u32..100_000).map(|n| (n * 7 % 251) as u8).collect();
    let http1 = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".as_slice();
    for bytes in [garbage.as_slice(), &[preface, &garbage].concat(), http1, &[]] {
        let mut stream = tokio::net::TcpStream::connect(node.grpc).await.unwrap();
        // The node may close before it has read all of it.
        let _sent = stream.write_all(bytes).await;
        let _closed = stream.shutdown().await;
        let mut answer = Vec::new();
        let _answered = stream.read_to_end(&mut answer).await;
    }
    let mut client = connect(node.grpc).await;
    written(execute(&mut client, put(&topology, b"k", b"v")).await);
    assert_eq!(value(execute(&mut client, get(&topology, b"k")).await).unwrap(), "v");
    node.stop().await;
}
