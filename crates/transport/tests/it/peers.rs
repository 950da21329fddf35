//! Peers of another cluster, damaged messages, and senders that disappear.

use bytes::Bytes;
use ringkv_consensus::{AppliedState, Manifest, ManifestFile};
use ringkv_proto::v1::{RaftFrame, SnapshotChunk, SnapshotHeader};
use ringkv_services::v1::raft_client::RaftClient;
use ringkv_topology::NodeId;
use tonic::Code;

use crate::cluster::{Cluster, GROUP, command, eventually};
use crate::memory_logs::MemoryLogs;
use crate::sockets::{CLUSTER, Sockets};

const NODE: NodeId = NodeId(1);

/// One serving node, to which the tests send hand-made requests.
fn one_node() -> Cluster<Sockets, MemoryLogs> {
    let mut cluster = Cluster::start(1, Sockets::new(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    cluster
}

fn send_frame(cluster: &Cluster<Sockets, MemoryLogs>, frame: RaftFrame) -> Result<(), Code> {
    let sockets = &cluster.wiring;
    sockets.runtime().block_on(async {
        let address = format!("http://{}", sockets.address(NODE));
        let mut client = RaftClient::connect(address).await.expect("listening");
        let sent = client.stream(tokio_stream::iter([frame])).await;
        sent.map(|_| ()).map_err(|status| status.code())
    })
}

fn send_chunks(
    cluster: &Cluster<Sockets, MemoryLogs>,
    chunks: Vec<SnapshotChunk>,
) -> Result<(), Code> {
    let sockets = &cluster.wiring;
    sockets.runtime().block_on(async {
        let address = format!("http://{}", sockets.address(NODE));
        let mut client = RaftClient::connect(address).await.expect("listening");
        let sent = client.snapshot(tokio_stream::iter(chunks)).await;
        sent.map(|_| ()).map_err(|status| status.code())
    })
}

fn frame() -> RaftFrame {
    let messages = Bytes::from_static(b"not a frame of the codec");
    RaftFrame { cluster: CLUSTER.0, from_node: 2, to_node: NODE.0, messages }
}

#[test]
fn a_peer_of_another_cluster_or_for_another_node_is_turned_away() {
    let mut cluster = one_node();
    let other_cluster = RaftFrame { cluster: 43, ..frame() };
    assert_eq!(send_frame(&cluster, other_cluster), Err(Code::FailedPrecondition));
    let other_node = RaftFrame { to_node: 9, ..frame() };
    assert_eq!(send_frame(&cluster, other_node), Err(Code::FailedPrecondition));
    let nobody = RaftFrame { from_node: 0, ..frame() };
    assert_eq!(send_frame(&cluster, nobody), Err(Code::InvalidArgument));
    cluster.write(&command(1));
}

#[test]
fn garbage_in_a_frame_is_counted_and_does_no_harm() {
    let mut cluster = one_node();
    assert_eq!(send_frame(&cluster, frame()), Ok(()));
    eventually("the damage is counted", || {
        (cluster.nodes[&NODE].handle.counters().frames_damaged == 1).then_some(())
    });
    cluster.write(&command(1));
}

/// A snapshot of one file that holds `abc`, as its manifest says, sent as `content`.
fn snapshot(id: &str, content: &'static [u8]) -> Vec<SnapshotChunk> {
    let file = ManifestFile { name: "file".into(), bytes: 3, checksum: crc32fast::hash(b"abc") };
    let manifest =
        Manifest { group: GROUP, applied: AppliedState::default(), files: vec![file] }.encode();
    let header = SnapshotHeader {
        cluster: CLUSTER.0,
        from_node: 2,
        to_node: NODE.0,
        group: GROUP.0,
        snapshot_id: id.into(),
        manifest,
        message: Bytes::from_static(b"not a frame of the codec"),
    };
    let data = Bytes::from_static(content);
    vec![
        SnapshotChunk { header: Some(header), ..SnapshotChunk::default() },
        SnapshotChunk { data, ..SnapshotChunk::default() },
    ]
}

#[test]
fn a_snapshot_is_taken_whole_or_not_at_all() {
    let mut cluster = one_node();
    assert_eq!(send_chunks(&cluster, snapshot("a", b"abX")), Err(Code::DataLoss));
    assert_eq!(send_chunks(&cluster, snapshot("a", b"ab")), Err(Code::DataLoss));
    assert_eq!(send_chunks(&cluster, snapshot("a", b"abcd")), Err(Code::InvalidArgument));
    assert_eq!(send_chunks(&cluster, snapshot("../a", b"abc")), Err(Code::InvalidArgument));
    let headless = snapshot("a", b"abc").split_off(1);
    assert_eq!(send_chunks(&cluster, headless), Err(Code::InvalidArgument));
    // Complete, but with an invalid Raft message: accepted here, then dropped by the poller.
    assert_eq!(send_chunks(&cluster, snapshot("a", b"abc")), Ok(()));
    eventually("no files stay behind", || {
        let mut left = std::fs::read_dir(cluster.dir(NODE).join("snapshots/in")).expect("there");
        left.next().is_none().then_some(())
    });
    cluster.write(&command(1));
}

#[test]
fn a_peer_that_comes_back_on_another_port_is_found_again() {
    let mut cluster = Cluster::start(3, Sockets::new(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let away = crate::scenarios::follower(&cluster);
    let before = cluster.wiring.address(away);
    cluster.crash(away);
    for n in 1..50 {
        cluster.write(&command(n));
    }
    cluster.start_node(away);
    assert_ne!(cluster.wiring.address(away), before);
    cluster.settle();
    assert_eq!(cluster.nodes[&away].ledger.commands(GROUP).len(), 50);
}
