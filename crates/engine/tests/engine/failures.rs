//! Failures that must end the process: each runs in a child process, which must abort and say why.

use std::process::Command;

use bytes::Bytes;
use ringkv_consensus::Request;
use ringkv_topology::NodeId;

use crate::cluster::{Cluster, GROUP, command};
use crate::ledger::{PANIC, POISON};
use crate::memory_logs::MemoryLogs;
use crate::switchboard::Switchboard;

const CHILD: &str = "RINGKV_TEST_CHILD";

/// Runs `test` of this binary again as a child, in which `is_child` holds.
fn run_child(test: &str) -> (std::process::ExitStatus, String) {
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("the child ran");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Has a one-node cluster apply `command`, which must not end well.
fn apply_to_the_end(fatal: &'static [u8]) {
    let mut cluster = Cluster::start(1, Switchboard::default(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let node = NodeId(1);
    let _ = cluster.ask(node, |ticket| Request::Propose {
        group: GROUP,
        command: Bytes::from_static(fatal),
        ticket,
    });
}

fn aborted(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(6)
}

#[test]
fn a_failed_write_of_the_state_machine_ends_the_process() {
    if is_child() {
        return apply_to_the_end(POISON);
    }
    let (status, stderr) =
        run_child("failures::a_failed_write_of_the_state_machine_ends_the_process");
    assert!(aborted(status), "{status}: {stderr}");
    assert!(stderr.contains("cannot go on: asked to fail"), "{stderr}");
}

#[test]
fn a_panic_in_an_engine_thread_ends_the_process() {
    if is_child() {
        return apply_to_the_end(PANIC);
    }
    let (status, stderr) = run_child("failures::a_panic_in_an_engine_thread_ends_the_process");
    assert!(aborted(status), "{status}: {stderr}");
    assert!(
        stderr.contains("cannot go on: thread raft-apply panicked: asked to panic"),
        "{stderr}"
    );
}
