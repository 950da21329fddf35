//! What happens at the bounds: full budgets, an engine that has stopped, sinks that have gone.

use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{Request, RequestError, Ticket};
use ringkv_engine::Sink;
use ringkv_topology::NodeId;

use crate::cluster::{Cluster, GROUP, Inbox, PATIENCE, command};
use crate::memory_logs::MemoryLogs;
use crate::switchboard::Switchboard;

const NODE: NodeId = NodeId(1);

fn propose(command: Bytes, ticket: Ticket) -> Request {
    Request::Propose { group: GROUP, command, ticket }
}

#[test]
fn requests_beyond_the_bound_are_refused_and_the_others_served() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |config| {
        config.requests_max = 4
    });
    cluster.write(&command(0));
    let running = &cluster.nodes[&NODE];
    let sink = running.sink.id();
    let gate = running.ledger.gate.lock();
    let requests = (100..106).map(|id| propose(command(id), Ticket { sink, id })).collect();
    running.handle.submit(requests);
    for id in 104..106 {
        assert_eq!(running.inbox.wait(id, PATIENCE), Some(Err(RequestError::Busy)));
    }
    drop(gate);
    for id in 100..104 {
        assert!(matches!(running.inbox.wait(id, PATIENCE), Some(Ok(_))), "{id} was admitted");
    }
    cluster.write(&command(1));
}

#[test]
fn bytes_beyond_the_bound_are_refused_unless_they_come_alone() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |config| {
        config.request_bytes_max = 1_000
    });
    cluster.write(&Bytes::from(vec![1; 5_000]));
    let running = &cluster.nodes[&NODE];
    let sink = running.sink.id();
    let large = |id| propose(Bytes::from(vec![1; 5_000]), Ticket { sink, id });
    running.handle.submit(vec![large(100), large(101)]);
    assert!(matches!(running.inbox.wait(100, PATIENCE), Some(Ok(_))));
    assert!(matches!(running.inbox.wait(101, PATIENCE), Some(Ok(_))), "the batch came alone");
}

#[test]
fn a_stopped_engine_refuses_and_a_handle_to_it_does_no_harm() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let handle = cluster.nodes[&NODE].handle.clone();
    cluster.stop(NODE);
    let inbox = Arc::new(Inbox::default());
    let sink = handle.register(Arc::clone(&inbox) as Arc<dyn Sink>);
    handle.submit(vec![propose(command(1), Ticket { sink: sink.id(), id: 7 })]);
    assert_eq!(inbox.wait(7, PATIENCE), Some(Err(RequestError::ShuttingDown)));
    handle.frame(NodeId(2), Bytes::from_static(b"late"));
    handle.unreachable(NodeId(2));
}

#[test]
fn a_sink_that_has_gone_holds_nothing_up() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |config| {
        config.requests_max = 2
    });
    cluster.write(&command(0));
    let running = &cluster.nodes[&NODE];
    for id in 0..10 {
        let inbox = Arc::new(Inbox::default());
        let sink = running.handle.register(Arc::clone(&inbox) as Arc<dyn Sink>);
        running.handle.submit(vec![propose(command(id), Ticket { sink: sink.id(), id })]);
        drop(sink);
    }
    cluster.write(&command(1));
}

#[test]
fn damaged_frames_are_counted_and_change_nothing() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let handle = cluster.nodes[&NODE].handle.clone();
    for frame in [&b""[..], b"garbage", &[0; 1000]] {
        handle.frame(NodeId(2), Bytes::from_static(b"x").slice(..0));
        handle.frame(NodeId(2), Bytes::copy_from_slice(frame));
    }
    crate::cluster::eventually("damage is counted", || {
        (handle.counters().frames_damaged >= 3).then_some(())
    });
    cluster.write(&command(1));
}
