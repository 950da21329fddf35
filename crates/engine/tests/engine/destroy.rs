//! Destroyed replicas, on logs in memory.

use ringkv_consensus::MemoryLog;

use crate::destroys;
use crate::memory_logs::MemoryLogs;
use crate::switchboard::Switchboard;

#[test]
fn a_destroyed_replica_is_gone_and_the_next_one_takes_its_place() {
    destroys::a_destroyed_replica_is_gone_and_the_next_one_takes_its_place(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}

#[test]
fn a_destroyed_replica_never_comes_back_at_a_start() {
    destroys::a_destroyed_replica_never_comes_back_at_a_start(|_| MemoryLog::new());
}
