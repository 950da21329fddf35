//! A plain client of the Kv service: builds requests, sends them, sorts the replies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ringkv_proto::v1::kv_reply::Result as Reply;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{
    Condition, Delete, Error, Get, KvReply, KvRequest, KvRequests, Put, RequestId, Written,
};
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::kv_client::KvClient;
use ringkv_topology::Topology;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub(crate) async fn connect(address: SocketAddr) -> KvClient<Channel> {
    let client = KvClient::connect(format!("http://{address}")).await.unwrap();
    client.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// A request to the group that owns the key.
pub(crate) fn request(topology: &Topology, key: &[u8], operation: Operation) -> KvRequest {
    let slot_owner = topology.locate(key).unwrap().1;
    KvRequest {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        group: slot_owner.id.0,
        epoch: topology.epoch.0,
        timeout_ms: 10_000,
        trace: None,
        operation: Some(operation),
    }
}

pub(crate) fn request_id() -> Option<RequestId> {
    let number = u128::from(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    Some(RequestId { id: number.to_be_bytes().to_vec().into(), chosen_by_user: false })
}

pub(crate) fn put(topology: &Topology, key: &[u8], value: &[u8]) -> KvRequest {
    put_if(topology, key, value, None)
}

pub(crate) fn put_if(
    topology: &Topology,
    key: &[u8],
    value: &[u8],
    condition: Option<Condition>,
) -> KvRequest {
    let put = Put {
        key: Bytes::copy_from_slice(key),
        value: Bytes::copy_from_slice(value),
        condition,
        request_id: request_id(),
        ..Put::default()
    };
    request(topology, key, Operation::Put(put))
}

pub(crate) fn get(topology: &Topology, key: &[u8]) -> KvRequest {
    let get = Get { key: Bytes::copy_from_slice(key), without_value: false };
    request(topology, key, Operation::Get(get))
}

pub(crate) fn delete(topology: &Topology, key: &[u8]) -> KvRequest {
    let delete =
        Delete { key: Bytes::copy_from_slice(key), request_id: request_id(), ..Delete::default() };
    request(topology, key, Operation::Delete(delete))
}

/// Sends the requests as one batch on a stream of their own; the results in their order.
pub(crate) async fn stream(client: &mut KvClient<Channel>, requests: Vec<KvRequest>) -> Vec<Reply> {
    let ids: Vec<u64> = requests.iter().map(|request| request.id).collect();
    let outgoing = tokio_stream::once(KvRequests { requests });
    let mut replies = client.stream(outgoing).await.unwrap().into_inner();
    let mut by_id: BTreeMap<u64, Reply> = BTreeMap::new();
    while let Some(batch) = replies.next().await {
        for KvReply { id, result, .. } in batch.unwrap().replies {
            let twice = by_id.insert(id, result.unwrap());
            assert!(twice.is_none(), "two replies to request {id}");
        }
    }
    assert_eq!(by_id.len(), ids.len(), "every request has one reply");
    ids.iter().map(|id| by_id.remove(id).unwrap()).collect()
}

/// One request by the unary call.
pub(crate) async fn execute(client: &mut KvClient<Channel>, request: KvRequest) -> Reply {
    let id = request.id;
    let reply = client.execute(request).await.unwrap().into_inner();
    assert_eq!(reply.id, id);
    reply.result.unwrap()
}

pub(crate) fn written(reply: Reply) -> Written {
    match reply {
        Reply::Written(written) => written,
        other => panic!("not written: {other:?}"),
    }
}

pub(crate) fn error(reply: Reply) -> Error {
    match reply {
        Reply::Error(error) => error,
        other => panic!("no error: {other:?}"),
    }
}

/// The value found, if any.
pub(crate) fn value(reply: Reply) -> Option<Bytes> {
    match reply {
        Reply::Found(found) => found.record.map(|record| record.value),
        other => panic!("not found: {other:?}"),
    }
}
