//! Brings log and state machine together at start, however the last run ended.
//!
//! Three things may be half done and are finished here: an install whose marker is durable, a new
//! group that the log knows and the state machine lost, and a destroyed replica whose tombstone is
//! durable and whose state is still there. Everything else that does not fit means a damaged or
//! mixed data directory, and refuses to start.

use std::collections::BTreeMap;
use std::io;

use ringkv_consensus::{
    AppliedState, DecodeError, Genesis, LogError, LogIndex, LogPosition, MachineError, Manifest,
    SnapshotId, StartError, StateMachine, StoredGroup,
};
use ringkv_topology::{GroupId, ReplicaId};

use crate::snapshot_dir::SnapshotDir;

/// Why an engine does not start. Nothing was changed but for the repairs that succeeded.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the log cannot be read")]
    Log(#[source] LogError),
    #[error("the state machine's store failed")]
    Machine(#[source] MachineError),
    #[error("the snapshot directory cannot be used")]
    Snapshots(#[source] io::Error),
    #[error("the engine's threads cannot be started")]
    Threads(#[source] io::Error),
    #[error("log and state machine do not fit together")]
    Core(#[source] StartError),
    #[error(
        "group {group}: its log begins after entry {start}, but the state machine's store does \
         not hold the group: the store was emptied or belongs to another data directory"
    )]
    StateLost { group: GroupId, start: LogIndex },
    #[error(
        "group {group}: the state machine's store holds it at entry {applied}, but the log does \
         not: the log was emptied or belongs to another data directory"
    )]
    LogLost { group: GroupId, applied: LogIndex },
    #[error("group {group}: the manifest of its unfinished install is damaged")]
    InstallManifest { group: GroupId, source: DecodeError },
    #[error("group {group}: the files of its unfinished install are gone ({id})")]
    InstallFiles { group: GroupId, id: SnapshotId },
}

/// The received snapshots that must not be removed at start.
pub(crate) fn marked(stored: &[StoredGroup]) -> Vec<(GroupId, SnapshotId)> {
    let marked = |group: &StoredGroup| {
        group.install.as_ref().map(|marker| (group.genesis.group, marker.snapshot_id.clone()))
    };
    stored.iter().filter_map(marked).collect()
}

/// Finishes what was half done and returns where each stored group's state machine now is.
pub(crate) fn repair<M: StateMachine>(
    machine: &mut M,
    stored: &[StoredGroup],
    tombstones: &[(GroupId, ReplicaId)],
    dirs: &SnapshotDir,
) -> Result<Vec<(GroupId, AppliedState)>, EngineError> {
    for (group, replica) in tombstones {
        destroy(machine, *group, *replica)?;
    }
    let mut found: BTreeMap<GroupId, AppliedState> = machine.groups().into_iter().collect();
    let mut applied = Vec::new();
    for group in stored {
        let id = group.genesis.group;
        let found = found.remove(&id);
        let state = match (&group.install, found) {
            (Some(_), _) => install(machine, group, dirs)?,
            (None, Some(_)) if group.start == LogPosition::ZERO => {
                // It waits for its first snapshot, so the state is that of an earlier replica, whose
                // tombstone it has replaced.
                destroy(machine, id, group.genesis.replica)?;
                group.genesis.applied()
            }
            (None, Some(state)) => state,
            (None, None) => create(machine, group)?,
        };
        applied.push((id, state));
    }
    // A group whose creation the log lost in a crash is created again by who wanted it.
    match found.into_iter().find(|(_, state)| state.position.index > Genesis::POSITION.index) {
        Some((group, state)) => Err(EngineError::LogLost { group, applied: state.position.index }),
        None => Ok(applied),
    }
}

/// Removes all state of a group that no replica of it here may keep. Nothing happens if there is none.
fn destroy<M: StateMachine>(
    machine: &mut M,
    group: GroupId,
    replica: ReplicaId,
) -> Result<(), EngineError> {
    tracing::debug!(%group, %replica, "removing what a destroyed replica may have left");
    machine.destroy(group).map_err(EngineError::Machine)
}

fn install<M: StateMachine>(
    machine: &mut M,
    stored: &StoredGroup,
    dirs: &SnapshotDir,
) -> Result<AppliedState, EngineError> {
    let group = stored.genesis.group;
    let marker = stored.install.as_ref().expect("called for a marked group");
    let manifest = Manifest::decode(&marker.manifest)
        .map_err(|source| EngineError::InstallManifest { group, source })?;
    let dir = dirs.received(group, &marker.snapshot_id);
    if !dir.is_dir() {
        return Err(EngineError::InstallFiles { group, id: marker.snapshot_id.clone() });
    }
    tracing::info!(%group, index = manifest.applied.position.index.0, "finishing an install");
    machine.install(group, &dir, &manifest.applied).map_err(EngineError::Machine)?;
    Ok(manifest.applied)
}

fn create<M: StateMachine>(
    machine: &mut M,
    stored: &StoredGroup,
) -> Result<AppliedState, EngineError> {
    let group = stored.genesis.group;
    match stored.start {
        // A replica that waits for its first snapshot: there is nothing in it to lose.
        LogPosition::ZERO => Ok(stored.genesis.applied()),
        Genesis::POSITION => {
            tracing::info!(%group, "setting a group up again, whose state had not been flushed");
            machine.create(&stored.genesis).map_err(EngineError::Machine)?;
            Ok(stored.genesis.applied())
        }
        start => Err(EngineError::StateLost { group, start: start.index }),
    }
}
