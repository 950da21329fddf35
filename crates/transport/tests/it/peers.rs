//! Peers of another cluster, damaged messages, and senders that disappear.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringkv_consensus::{AppliedState, Manifest, ManifestFile};
use ringkv_engine::EngineConfig;
use ringkv_proto::v1::{RaftFrame, SnapshotChunk, SnapshotHeader};
use ringkv_services::v1::raft_client::RaftClient;
use ringkv_topology::{GroupId, NodeId};
use tonic::Code;

use crate::cluster::{Cluster, GROUP, command, eventually};
use crate::memory_logs::MemoryLogs;
use crate::scenarios;
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

/// The Raft message of a snapshot from replica 2, as a frame.
fn message(group: u64, to_replica: u64) -> Bytes {
    const SNAPSHOT: u8 = 5;
    let mut frame = vec![1];
    frame.extend(1u32.to_le_bytes());
    for field in [group, to_replica, 2, 1, 0, 0, 0, 0, 0, 0] {
        frame.extend(field.to_le_bytes());
    }
    // Neither rejected, nor with a context or entries.
    frame.extend([SNAPSHOT, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame.into()
}

fn manifest(group: GroupId) -> Bytes {
    let file = ManifestFile { name: "file".into(), bytes: 3, checksum: crc32fast::hash(b"abc") };
    Manifest { group, applied: AppliedState::default(), files: vec![file] }.encode()
}

/// A snapshot of one file that holds `abc`, as its manifest says, sent as `content`.
fn snapshot(id: &str, content: &'static [u8]) -> Vec<SnapshotChunk> {
    let header = SnapshotHeader {
        cluster: CLUSTER.0,
        from_node: 2,
        to_node: NODE.0,
        group: GROUP.0,
        snapshot_id: id.into(),
        manifest: manifest(GROUP),
        message: message(GROUP.0, NODE.0),
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
    // Complete, but of no use to the leader of its group: taken in, then dropped by the poller.
    assert_eq!(send_chunks(&cluster, snapshot("a", b"abc")), Ok(()));
    eventually("no files stay behind", || {
        let mut left = std::fs::read_dir(cluster.dir(NODE).join("snapshots/in")).expect("there");
        left.next().is_none().then_some(())
    });
    cluster.write(&command(1));
}

#[test]
fn a_snapshot_without_a_use_or_without_room_is_refused_by_its_header() {
    let no_room = |config: &mut EngineConfig| config.disk_room = |_| Ok(5);
    let mut cluster = Cluster::start(1, Sockets::new(), MemoryLogs::default(), no_room);
    cluster.write(&command(0));
    let header = |group: u64, replica: u64| {
        let mut chunks = snapshot("a", b"");
        let header = chunks[0].header.as_mut().expect("the first one");
        header.message = message(group, replica);
        chunks.truncate(1);
        chunks
    };
    let other = header(GROUP.0, NODE.0 + 1);
    assert_eq!(send_chunks(&cluster, other), Err(Code::FailedPrecondition), "another replica");
    let mixed = header(GROUP.0 + 1, NODE.0);
    assert_eq!(send_chunks(&cluster, mixed), Err(Code::InvalidArgument), "another group's message");
    let mut unknown = header(GROUP.0 + 1, NODE.0);
    let unknown_header = unknown[0].header.as_mut().expect("the first one");
    unknown_header.group = GROUP.0 + 1;
    unknown_header.manifest = manifest(GroupId(GROUP.0 + 1));
    assert_eq!(send_chunks(&cluster, unknown), Err(Code::FailedPrecondition), "no such group");
    assert_eq!(send_chunks(&cluster, header(GROUP.0, NODE.0)), Err(Code::Unavailable), "no room");
    let mut left = std::fs::read_dir(cluster.dir(NODE).join("snapshots/in")).expect("there");
    assert!(left.next().is_none(), "nothing was written");
}

/// The room on the disks of the next test, and how often it was asked for.
static ROOM: AtomicU64 = AtomicU64::new(0);
static ASKED: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_node_without_room_is_asked_less_and_less_and_catches_up_when_it_has_some() {
    let settings = |config: &mut EngineConfig| {
        scenarios::short_log(config);
        config.disk_room = |_| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(ROOM.load(Ordering::Relaxed))
        };
    };
    let mut cluster = Cluster::start(3, Sockets::new(), MemoryLogs::default(), settings);
    cluster.write(&command(0));
    let away = scenarios::follower(&cluster);
    cluster.crash(away);
    scenarios::write_until_the_log_is_cut(&mut cluster, away);
    cluster.start_node(away);
    let asked = |times| {
        eventually("it is asked", || (ASKED.load(Ordering::Relaxed) >= times).then_some(()));
        Instant::now()
    };
    let first = asked(1);
    let between = asked(3) - first;
    assert!(between >= Duration::from_millis(2_900), "twice in {between:?}");
    let mut left = std::fs::read_dir(cluster.dir(away).join("snapshots/in")).expect("there");
    assert!(left.next().is_none(), "nothing was written");
    ROOM.store(u64::MAX, Ordering::Relaxed);
    cluster.settle();
    assert_eq!(cluster.nodes[&away].ledger.installs(), 1);
}

#[test]
fn a_peer_that_comes_back_on_another_port_is_found_again() {
    let mut cluster = Cluster::start(3, Sockets::new(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let away = scenarios::follower(&cluster);
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
