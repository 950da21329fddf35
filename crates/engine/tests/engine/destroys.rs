//! The end of a replica that is destroyed, over any kind of network and log.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, Apply, Flusher, Genesis, GroupBatch, GroupWrite, HardState, LogBatch, LogIndex,
    LogPosition, LogReader, LogWriter, Members, MembersChange, Request, Ticket,
};
use ringkv_engine::{Engine, EngineConfig, NoObserver, Transport};
use ringkv_topology::{Epoch, NodeId, ReplicaId};

use crate::cluster::{Cluster, GROUP, Logs, PATIENCE, Wiring, command, eventually};
use crate::ledger::Ledger;
use crate::scenarios;
use crate::switchboard::Switchboard;

/// Of no replica that a cluster starts with.
const NEXT: ReplicaId = ReplicaId(10);

/// Destroys a follower in the middle of writes, restarts its node, and has the next replica of the
/// group take its place on the same node.
pub(crate) fn a_destroyed_replica_is_gone_and_the_next_one_takes_its_place(
    wiring: impl Wiring,
    logs: impl Logs,
) {
    const FIRST: u64 = 1_000_000;
    let mut cluster = Cluster::start(3, wiring, logs, scenarios::short_log);
    cluster.write(&command(0));
    let (leader, node) = (cluster.leader(), scenarios::follower(&cluster));
    let old = ReplicaId(node.0);
    let running = &cluster.nodes[&leader];
    let requests = (FIRST..FIRST + 500).map(|id| Request::Propose {
        group: GROUP,
        command: command(id),
        ticket: Ticket { sink: running.sink.id(), id },
    });
    running.handle.submit(requests.collect());
    cluster.nodes[&node].handle.destroy(GROUP, old);
    for id in FIRST..FIRST + 500 {
        let done = running.inbox.wait(id, PATIENCE).expect("completed");
        done.expect("two of three replicas are enough");
    }
    is_gone(&cluster, node);
    cluster.crash(node);
    cluster.start_node(node);
    is_gone(&cluster, node);

    change_members(&mut cluster, || MembersChange {
        add_learners: vec![(NEXT, node)],
        remove: vec![old],
        epoch: Epoch(1),
        ..MembersChange::default()
    });
    cluster.nodes[&node].handle.create(joining(NEXT));
    cluster.write(&command(1));
    cluster.settle();
    assert_eq!(cluster.nodes[&node].ledger.commands(GROUP).len(), 502);
    // The old one is not to be destroyed in the place of the new one.
    cluster.nodes[&node].handle.destroy(GROUP, old);
    cluster.write(&command(2));
    cluster.settle();
    cluster.crash(node);
    cluster.start_node(node);
    cluster.write(&command(3));
    cluster.settle();
}

/// Nothing of the group is on the node: no replica, no state, no snapshot.
fn is_gone<W: Wiring, L: Logs>(cluster: &Cluster<W, L>, node: NodeId) {
    let running = &cluster.nodes[&node];
    eventually("the replica is gone", || {
        let is_known = !running.handle.status().is_empty();
        let has_state = running.ledger.groups().iter().any(|(group, _)| *group == GROUP);
        let snapshots = ["in", "out"].map(|dir| cluster.dir(node).join("snapshots").join(dir));
        let has_files = snapshots
            .iter()
            .any(|dir| std::fs::read_dir(dir).expect("made at start").next().is_some());
        (!is_known && !has_state && !has_files).then_some(())
    });
}

fn change_members<W: Wiring, L: Logs>(
    cluster: &mut Cluster<W, L>,
    change: impl Fn() -> MembersChange,
) {
    for _ in 0..100 {
        let leader = cluster.leader();
        let asked = cluster.ask(leader, |ticket| Request::ChangeMembers {
            group: GROUP,
            change: change(),
            ticket,
        });
        match asked {
            Ok(_) => return,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
        }
    }
    panic!("the change of members was refused a hundred times");
}

/// A replica that is brought up by a snapshot.
fn joining(replica: ReplicaId) -> Genesis {
    Genesis { group: GROUP, replica, members: Members::default(), context: Bytes::new() }
}

fn founding(replica: ReplicaId) -> Genesis {
    Genesis { members: Members::of_voters([(replica, NodeId(1))]), ..joining(replica) }
}

fn created(genesis: Genesis) -> GroupWrite {
    let start = genesis.applied().position;
    GroupWrite {
        reset: Some(start),
        hard_state: Some(HardState { term: start.term, vote: 0, commit: start.index }),
        create: Some(genesis),
        ..GroupWrite::default()
    }
}

fn destroyed(replica: ReplicaId) -> GroupWrite {
    GroupWrite { destroy: Some(replica), ..GroupWrite::default() }
}

/// Starts a node whose log took `writes` of the group, one batch each.
fn start_on(
    dir: &Path,
    mut log: impl LogReader + LogWriter + Clone,
    writes: Vec<GroupWrite>,
) -> (Engine, Ledger) {
    for (number, write) in (1..).zip(writes) {
        let batch = LogBatch { number, groups: vec![(GROUP, write)], sync: true };
        log.write(&batch).expect("written");
    }
    let config = EngineConfig::new(NodeId(1), 1, dir);
    let ledger = Ledger::open(dir.join("ledger"));
    let connect =
        |handle| -> Arc<dyn Transport> { Switchboard::default().connect(NodeId(1), handle) };
    let engine = Engine::start(config, log, ledger.clone(), Arc::new(NoObserver), connect)
        .expect("a crash can leave this");
    (engine, ledger)
}

/// Every state in which a crash can leave log and state machine of a destroyed replica: the rows
/// of the old one never come back.
pub(crate) fn a_destroyed_replica_never_comes_back_at_a_start<L: LogReader + LogWriter + Clone>(
    open: impl Fn(&Path) -> L,
) {
    let old = ReplicaId(1);
    let next = GroupWrite { destroy: Some(old), ..created(joining(NEXT)) };
    let states = [
        (vec![created(founding(old)), destroyed(old)], None),
        (vec![created(founding(old)), destroyed(old), created(joining(NEXT))], Some(NEXT)),
        (vec![created(founding(old)), next], Some(NEXT)),
    ];
    for (writes, left) in states {
        for has_rows in [true, false] {
            let dir = tempfile::tempdir().expect("a temporary directory");
            if has_rows {
                flush_state_of(dir.path(), old);
            }
            let log = open(dir.path());
            // Once more: nothing that the first start has removed needs to be durable.
            for writes in [writes.clone(), Vec::new()] {
                let (engine, ledger) = start_on(dir.path(), log.clone(), writes);
                let status = engine.handle().status();
                assert_eq!(status.first().map(|group| group.replica), left, "rows: {has_rows}");
                assert_eq!(ledger.groups(), [], "rows: {has_rows}");
            }
        }
    }
}

/// The state of a replica at entry 7, as it was last flushed.
fn flush_state_of(dir: &Path, replica: ReplicaId) {
    let genesis = founding(replica);
    let mut ledger = Ledger::open(dir.join("ledger"));
    ledger.create(&genesis).expect("created");
    let after = AppliedState { position: LogPosition::new(1, 7), ..genesis.applied() };
    let batch = GroupBatch { group: GROUP, entries: Vec::new(), after };
    ledger.apply(&[batch]).expect("applied");
    assert_eq!(ledger.flush().expect("flushed"), [(GROUP, LogIndex(7))]);
}
