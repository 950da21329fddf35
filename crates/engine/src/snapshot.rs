//! Three slow threads next to the poller: `raft-fetch` reads the log for followers that are far
//! behind, `raft-snapshot` builds snapshots, `raft-discard` removes those that are not needed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::Receiver;
use ringkv_consensus::{
    Fetch, Input, LogReader, MachineError, Manifest, ManifestFile, SnapshotBuilder, SnapshotBuilt,
    SnapshotId,
};
use ringkv_topology::GroupId;

use crate::handle::Handle;
use crate::threads::fatal;

/// Reads what is asked for until the poller is gone.
pub(crate) fn run_fetch(log: &Arc<dyn LogReader>, fetches: &Receiver<Fetch>, handle: &Handle) {
    for fetch in fetches {
        let entries = match log.entries(fetch.group, fetch.from, fetch.to, fetch.bytes_max) {
            Ok(entries) => entries,
            // Cut from the log since the poller asked: it will send a snapshot instead.
            Err(error) if error.source.is_none() => Vec::new(),
            // A damaged log must not stay in the quorum.
            Err(error) => fatal(&error),
        };
        handle.input(Input::Fetched { fetch, entries });
    }
}

/// Builds until the poller is gone. `life` differs between runs of the process, so that a snapshot
/// id never comes back with other content.
pub(crate) fn run(
    builder: &Arc<dyn SnapshotBuilder>,
    life: u64,
    groups: &Receiver<GroupId>,
    handle: &Handle,
) {
    for (count, group) in groups.iter().enumerate() {
        let built = build(builder, group, format!("{life:x}-{count}"), handle);
        handle.input(Input::SnapshotBuilt { group, built });
    }
}

/// Removes snapshots until the poller is gone. A thread of its own, since a build takes minutes.
pub(crate) fn run_discard(discards: &Receiver<(GroupId, SnapshotId)>, handle: &Handle) {
    for (group, id) in discards {
        if let Err(error) = handle.shared.dirs.discard(group, &id) {
            tracing::warn!(%error, %group, id, "cannot remove a snapshot; a restart will do it");
        }
    }
}

fn build(
    builder: &Arc<dyn SnapshotBuilder>,
    group: GroupId,
    id: SnapshotId,
    handle: &Handle,
) -> Option<SnapshotBuilt> {
    let began = Instant::now();
    match cut(builder, group, &handle.shared.dirs.cut(group, &id)) {
        Ok((manifest, bytes)) => {
            handle.shared.observer.snapshot_built(group, manifest.bytes(), began.elapsed());
            Some(SnapshotBuilt { id, applied: manifest.applied, manifest: bytes })
        }
        Err(error) => {
            // Reads only, and writes to a directory of its own: the state itself is not touched.
            tracing::error!(%group, error = %error, cause = ?error.source, "cut a snapshot");
            let _ = handle.shared.dirs.discard(group, &id);
            None
        }
    }
}

/// Has the machine write the files and describes them.
fn cut(
    builder: &Arc<dyn SnapshotBuilder>,
    group: GroupId,
    dir: &Path,
) -> Result<(Manifest, Bytes), MachineError> {
    std::fs::create_dir(dir).map_err(|e| MachineError::new("make a snapshot directory", e))?;
    let applied = builder.build(group, dir)?;
    let files = describe(dir).map_err(|e| MachineError::new("read a snapshot back", e))?;
    let manifest = Manifest { group, applied, files };
    let bytes = manifest.encode();
    // What could not be received must not be sent.
    Manifest::decode(&bytes).map_err(|e| MachineError::new("name the files of a snapshot", e))?;
    Ok((manifest, bytes))
}

fn describe(dir: &Path) -> io::Result<Vec<ManifestFile>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidFilename)?;
        let (bytes, checksum) = measure(&entry.path())?;
        files.push(ManifestFile { name, bytes, checksum });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The size and CRC-32 of a file.
fn measure(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}
