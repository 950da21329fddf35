//! An install takes long: what goes on meanwhile, and in which order the rest follows.

use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{Done, Genesis, LogIndex, Members, Request};
use ringkv_topology::{GroupId, ReplicaId};

use crate::cluster::{Cluster, GROUP, Wiring, command, eventually};
use crate::memory_logs::MemoryLogs;
use crate::scenarios;
use crate::switchboard::Switchboard;

/// A group that only one node has.
const OTHER: GroupId = GroupId(2);

#[test]
fn an_install_holds_up_its_own_group_and_no_other() {
    let mut cluster =
        Cluster::start(3, Switchboard::default(), MemoryLogs::default(), scenarios::short_log);
    cluster.write(&command(0));
    let away = scenarios::follower(&cluster);
    let handle = cluster.nodes[&away].handle.clone();
    handle.create(Genesis {
        group: OTHER,
        replica: ReplicaId(9),
        members: Members::of_voters([(ReplicaId(9), away)]),
        context: Bytes::new(),
    });
    handle.campaign(OTHER);
    cluster.wiring.disconnect(away);
    scenarios::write_until_the_log_is_cut(&mut cluster, away);

    let ledger = cluster.nodes[&away].ledger.clone();
    let gate = Arc::clone(&ledger.install_gate);
    let held = gate.lock();
    let _port = cluster.wiring.connect(away, handle);
    eventually("the group is out of service", || {
        (ledger.applied_index(GROUP) == LogIndex::ZERO).then_some(())
    });
    for n in 0..20 {
        let propose = |ticket| Request::Propose { group: OTHER, command: command(n), ticket };
        let done = cluster.ask(away, propose);
        assert!(matches!(done, Ok(Done::Applied(_))), "{done:?} during the install");
        // What is committed after the snapshot waits for the install.
        cluster.write(&command(1_000 + n));
    }
    assert_eq!(ledger.commands(OTHER).len(), 20);
    assert_eq!((ledger.applied_index(GROUP), ledger.installs()), (LogIndex::ZERO, 0));
    drop(held);
    cluster.settle();
    assert_eq!(ledger.installs(), 1, "what came during the install was kept");
    cluster.write(&command(2_000));
    cluster.settle();
}

#[test]
fn a_replica_that_is_destroyed_during_its_install_is_gone_after_it() {
    let mut cluster =
        Cluster::start(3, Switchboard::default(), MemoryLogs::default(), scenarios::short_log);
    cluster.write(&command(0));
    let away = scenarios::follower(&cluster);
    cluster.wiring.disconnect(away);
    scenarios::write_until_the_log_is_cut(&mut cluster, away);
    let (handle, ledger) =
        (cluster.nodes[&away].handle.clone(), cluster.nodes[&away].ledger.clone());
    let gate = Arc::clone(&ledger.install_gate);
    let held = gate.lock();
    let _port = cluster.wiring.connect(away, handle.clone());
    eventually("the install has begun", || {
        (ledger.applied_index(GROUP) == LogIndex::ZERO).then_some(())
    });
    handle.destroy(GROUP, ReplicaId(away.0));
    eventually("the poller has no such group", || handle.status().is_empty().then_some(()));
    cluster.wiring.disconnect(away);
    drop(held);
    eventually("no files stay behind", || {
        let mut left = std::fs::read_dir(cluster.dir(away).join("snapshots/in")).expect("there");
        left.next().is_none().then_some(())
    });
    assert_eq!(ledger.commands(GROUP), Vec::<Bytes>::new());
}
