//! What a node finds again after it ended, and what it refuses to start on.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, Apply, Flusher, Genesis, GroupBatch, GroupWrite, HardState, InstallMarker,
    LogBatch, LogIndex, LogPosition, LogReader, LogWriter, Manifest, ManifestFile, Members,
    MemoryLog, SnapshotBuilder,
};
use ringkv_engine::{Engine, EngineConfig, EngineError, NoObserver, Transport};
use ringkv_topology::{NodeId, ReplicaId};

use crate::cluster::{Cluster, GROUP, Wiring, command, eventually};
use crate::ledger::Ledger;
use crate::memory_logs::MemoryLogs;
use crate::scenarios;
use crate::switchboard::Switchboard;

#[test]
fn a_cluster_that_crashed_whole_finds_every_acknowledged_write_again() {
    scenarios::a_cluster_that_crashed_whole_finds_every_acknowledged_write_again(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}

#[test]
fn a_node_stopped_in_good_order_has_nothing_to_apply_again() {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |_| ());
    for n in 0..10 {
        cluster.write(&command(n));
    }
    let node = cluster.leader();
    let applied = cluster.nodes[&node].ledger.applied_index(GROUP);
    cluster.stop(node);
    cluster.start_node(node);
    assert!(cluster.nodes[&node].ledger.applied_index(GROUP) >= applied);
    assert_eq!(cluster.read().len(), 10);
}

fn genesis() -> Genesis {
    Genesis {
        group: GROUP,
        replica: ReplicaId(1),
        members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
        context: Bytes::new(),
    }
}

/// A log that holds the group, cut at `start`.
fn log_with_group(start: LogPosition, install: Option<InstallMarker>) -> MemoryLog {
    let mut log = MemoryLog::new();
    let write = GroupWrite {
        create: Some(genesis()),
        reset: Some(start),
        hard_state: Some(HardState { term: start.term, vote: 0, commit: start.index }),
        install: Some(install),
        ..GroupWrite::default()
    };
    let batch = LogBatch { number: 1, groups: vec![(GROUP, write)], sync: true };
    log.write(&batch).expect("written");
    log
}

fn start(dir: &Path, log: MemoryLog) -> Result<(Engine, Ledger), EngineError> {
    let config = EngineConfig::new(NodeId(1), 1, dir);
    let ledger = Ledger::open(dir.join("ledger"));
    let connect =
        |handle| -> Arc<dyn Transport> { Switchboard::default().connect(NodeId(1), handle) };
    let engine = Engine::start(config, log, ledger.clone(), Arc::new(NoObserver), connect)?;
    Ok((engine, ledger))
}

#[test]
fn a_new_group_that_was_never_flushed_is_set_up_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log_with_group(LogPosition::new(1, 1), None);
    let (_engine, ledger) = start(dir.path(), log).expect("repaired");
    assert!(ledger.applied_index(GROUP) >= Genesis::POSITION.index);
}

#[test]
fn a_cut_log_without_its_state_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log_with_group(LogPosition::new(2, 9), None);
    let error = start(dir.path(), log).err().expect("nine entries are gone");
    assert!(matches!(error, EngineError::StateLost { start: LogIndex(9), .. }), "{error}");
}

#[test]
fn a_state_without_its_log_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut ledger = Ledger::open(dir.path().join("ledger"));
    ledger.create(&genesis()).expect("created");
    ledger.flush().expect("flushed");
    let log = MemoryLog::new();
    let (engine, _) = start(dir.path(), log.clone()).expect("a creation the log lost is no loss");
    drop(engine);

    let after = AppliedState { position: LogPosition::new(1, 7), ..genesis().applied() };
    let batch = GroupBatch { group: GROUP, entries: Vec::new(), after };
    ledger.apply(&[batch]).expect("applied");
    ledger.flush().expect("flushed");
    let error = start(dir.path(), log).err().expect("the log is gone");
    assert!(matches!(error, EngineError::LogLost { applied: LogIndex(7), .. }), "{error}");
}

/// Files of a snapshot at entry 20 as they lie in `in/` when a marker is durable.
fn received_snapshot(dir: &Path) -> InstallMarker {
    let files = dir.join("snapshots").join("in").join(format!("{GROUP}-x"));
    std::fs::create_dir_all(&files).expect("made");
    let mut source = Ledger::open(dir.join("source"));
    source.create(&genesis()).expect("created");
    let after = AppliedState { position: LogPosition::new(3, 20), ..genesis().applied() };
    let batch = GroupBatch { group: GROUP, entries: Vec::new(), after };
    source.apply(&[batch]).expect("applied");
    let applied = source.build(GROUP, &files).expect("built");
    let described = ["empty", "group"].map(|name| {
        let content = std::fs::read(files.join(name)).expect("built");
        ManifestFile {
            name: name.into(),
            bytes: content.len() as u64,
            checksum: crc32fast::hash(&content),
        }
    });
    let manifest = Manifest { group: GROUP, applied, files: described.into() };
    InstallMarker { snapshot_id: "x".into(), manifest: manifest.encode() }
}

#[test]
fn an_install_cut_short_by_a_crash_is_finished_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let marker = received_snapshot(dir.path());
    let log = log_with_group(LogPosition::new(3, 20), Some(marker));
    let reader = log.clone();
    let (engine, ledger) = start(dir.path(), log).expect("finished");
    assert_eq!(ledger.installs(), 1);
    assert!(ledger.applied_index(GROUP) >= LogIndex(20));
    let files = dir.path().join("snapshots").join("in").join(format!("{GROUP}-x"));
    eventually("the marker and the files are gone", || {
        let marked = reader.load().expect("readable")[0].install.is_some();
        (!marked && !files.exists()).then_some(())
    });
    drop(engine);
}

#[test]
fn an_install_whose_files_are_gone_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let marker = received_snapshot(dir.path());
    std::fs::remove_dir_all(dir.path().join("snapshots")).expect("removed");
    let log = log_with_group(LogPosition::new(3, 20), Some(marker));
    let error = start(dir.path(), log).err().expect("nothing to install");
    assert!(matches!(error, EngineError::InstallFiles { .. }), "{error}");
}
