//! Taking in a snapshot from another node, chunk by chunk, until it is whole, checked and durable.
//!
//! Chunks come in order; each file is checked against the manifest and fsynced when its last byte
//! is there. Only a whole snapshot becomes an input of the poller; a receiver that is dropped
//! before that leaves nothing behind.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use ringkv_consensus::{DecodeError, Manifest, ReceivedSnapshot, SnapshotId};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use super::{SnapshotDir, sync_dir};

/// Why a snapshot was not taken in. The sender may try again with another one.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("the manifest is not readable")]
    Manifest(#[source] DecodeError),
    #[error("the snapshot id is not a plain name")]
    Id,
    #[error("the Raft message is not readable")]
    Message(#[source] DecodeError),
    #[error("the manifest or the message is of group {other}, the snapshot of group {snapshot}")]
    Group { other: GroupId, snapshot: GroupId },
    #[error("this node has no replica of group {group}")]
    NoGroup { group: GroupId },
    #[error("the snapshot is for replica {replica} of group {group}, this node has replica {here}")]
    OtherReplica { group: GroupId, replica: ReplicaId, here: ReplicaId },
    #[error("{receiving} snapshots are being received, the most at a time")]
    Busy { receiving: usize },
    #[error(
        "no room for a snapshot of {bytes} bytes: with those under way it takes {needed} bytes of \
         disk until it is installed, {room} are free"
    )]
    NoRoom { bytes: u64, needed: u64, room: u64 },
    #[error("the node is stopping")]
    Stopping,
    #[error("a chunk is out of order: expected file {file} at offset {offset}")]
    Order { file: u32, offset: u64 },
    #[error("more bytes than file {file} has by its manifest")]
    TooLong { file: u32 },
    #[error("the checksum of file {file} does not match")]
    Checksum { file: u32 },
    #[error("the stream ended in file {file} at offset {offset}")]
    Incomplete { file: u32, offset: u64 },
    #[error("the snapshot's files could not be written")]
    Io(#[from] io::Error),
}

impl ReceiveError {
    /// The kind of a refusal, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoGroup { .. } => "group",
            Self::OtherReplica { .. } => "replica",
            Self::Busy { .. } => "busy",
            Self::NoRoom { .. } => "disk",
            Self::Stopping => "stopping",
            Self::Io(_) => "io",
            Self::Manifest(_)
            | Self::Id
            | Self::Message(_)
            | Self::Group { .. }
            | Self::Order { .. }
            | Self::TooLong { .. }
            | Self::Checksum { .. }
            | Self::Incomplete { .. } => "damaged",
        }
    }
}

/// What to hand on once a snapshot is whole; also counts it as under way until dropped.
pub(crate) trait Receipt: Send {
    /// The snapshot is whole, checked and durable.
    fn received(&self, snapshot: ReceivedSnapshot);
}

/// One snapshot that is being received. Blocks: for a thread that may wait for the disk.
pub struct SnapshotReceiver {
    dirs: SnapshotDir,
    dir: PathBuf,
    manifest: Manifest,
    snapshot: Option<ReceivedSnapshot>,
    receipt: Box<dyn Receipt>,
    /// The file being written and what is in it so far; `None` once all are there.
    open: Option<OpenFile>,
}

struct OpenFile {
    number: u32,
    file: File,
    written: u64,
    hasher: crc32fast::Hasher,
}

/// A snapshot that another node announces.
pub(crate) struct Announced {
    pub(crate) group: GroupId,
    pub(crate) from: NodeId,
    /// The name it shall have here: unique among all that were ever received by this process.
    pub(crate) id: SnapshotId,
    pub(crate) manifest: Bytes,
    pub(crate) message: Bytes,
}

impl SnapshotReceiver {
    /// Checks the manifest and makes room for the files.
    pub(crate) fn begin(
        dirs: &SnapshotDir,
        announced: Announced,
        receipt: Box<dyn Receipt>,
    ) -> Result<Self, ReceiveError> {
        let Announced { group, from, id, manifest: manifest_bytes, message } = announced;
        let manifest = Manifest::decode(&manifest_bytes).map_err(ReceiveError::Manifest)?;
        let dir = dirs.received(group, &id);
        std::fs::create_dir(&dir)?;
        let applied = manifest.applied.clone();
        let snapshot =
            ReceivedSnapshot { group, from, id, manifest: manifest_bytes, message, applied };
        let snapshot = Some(snapshot);
        let mut receiver =
            Self { dirs: dirs.clone(), dir, manifest, snapshot, receipt, open: None };
        receiver.open_file(0)?;
        Ok(receiver)
    }

    /// Takes the next chunk: `data` at `offset` of the manifest's file number `file`. A chunk
    /// belongs to one file; chunks come in order.
    ///
    /// # Errors
    /// `ReceiveError`; the receiver is of no more use then.
    pub fn write(&mut self, file: u32, offset: u64, data: &[u8]) -> Result<(), ReceiveError> {
        let Some(open) = &mut self.open else {
            return Err(ReceiveError::TooLong { file });
        };
        if (open.number, open.written) != (file, offset) {
            return Err(ReceiveError::Order { file: open.number, offset: open.written });
        }
        let expected = self.manifest.files[file as usize].bytes;
        if data.len() as u64 > expected - open.written {
            return Err(ReceiveError::TooLong { file });
        }
        open.file.write_all(data)?;
        open.hasher.update(data);
        open.written += data.len() as u64;
        if open.written == expected { self.close_file() } else { Ok(()) }
    }

    /// Makes the whole snapshot durable and hands it to the engine.
    ///
    /// # Errors
    /// `Incomplete` when bytes are missing, `Io`.
    pub fn finish(mut self) -> Result<(), ReceiveError> {
        if let Some(open) = &self.open {
            return Err(ReceiveError::Incomplete { file: open.number, offset: open.written });
        }
        sync_dir(&self.dir)?;
        self.dirs.sync_incoming()?;
        let snapshot = self.snapshot.take().expect("finished once");
        self.receipt.received(snapshot);
        Ok(())
    }

    /// Opens file `number`, and on through those that are empty.
    fn open_file(&mut self, number: u32) -> Result<(), ReceiveError> {
        self.open = None;
        let Some(description) = self.manifest.files.get(number as usize) else { return Ok(()) };
        let file = File::create_new(self.dir.join(&description.name))?;
        let hasher = crc32fast::Hasher::new();
        let empty = description.bytes == 0;
        self.open = Some(OpenFile { number, file, written: 0, hasher });
        if empty { self.close_file() } else { Ok(()) }
    }

    fn close_file(&mut self) -> Result<(), ReceiveError> {
        let OpenFile { number, file, hasher, .. } = self.open.take().expect("a file is open");
        if hasher.finalize() != self.manifest.files[number as usize].checksum {
            // Left open on purpose: `finish` must not see a whole snapshot.
            let hasher = crc32fast::Hasher::new();
            self.open = Some(OpenFile { number, file, written: 0, hasher });
            return Err(ReceiveError::Checksum { file: number });
        }
        file.sync_all()?;
        self.open_file(number + 1)
    }
}

impl Drop for SnapshotReceiver {
    fn drop(&mut self) {
        if self.snapshot.is_some()
            && let Err(error) = std::fs::remove_dir_all(&self.dir)
        {
            tracing::warn!(%error, dir = %self.dir.display(), "remove an unfinished snapshot");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use ringkv_consensus::{AppliedState, LogPosition, ManifestFile};

    #[derive(Clone, Default)]
    struct Received(Arc<Mutex<Vec<ReceivedSnapshot>>>);

    impl Receipt for Received {
        fn received(&self, snapshot: ReceivedSnapshot) {
            self.0.lock().push(snapshot);
        }
    }

    struct Fixture {
        _root: tempfile::TempDir,
        dirs: SnapshotDir,
        received: Received,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            let dirs = SnapshotDir::open(root.path(), &[]).expect("made");
            Self { _root: root, dirs, received: Received::default() }
        }

        /// A receiver of three files: `abc`, an empty one, and `defg`.
        fn receiver(&self) -> SnapshotReceiver {
            let files = [("1", "abc"), ("2", ""), ("3", "defg")];
            let manifest = Manifest {
                group: GroupId(1),
                applied: AppliedState {
                    position: LogPosition::new(1, 9),
                    ..AppliedState::default()
                },
                files: files
                    .map(|(name, content)| ManifestFile {
                        name: name.into(),
                        bytes: content.len() as u64,
                        checksum: crc32fast::hash(content.as_bytes()),
                    })
                    .into(),
            };
            let announced = Announced {
                group: GroupId(1),
                from: NodeId(2),
                id: "x".into(),
                manifest: manifest.encode(),
                message: Bytes::from_static(b"message"),
            };
            SnapshotReceiver::begin(&self.dirs, announced, Box::new(self.received.clone()))
                .expect("a good manifest")
        }

        fn nothing_is_left(&self) -> bool {
            !self.dirs.received(GroupId(1), "x").exists() && self.received.0.lock().is_empty()
        }
    }

    #[test]
    fn a_whole_snapshot_is_handed_on_with_its_files_in_place() {
        let fixture = Fixture::new();
        let mut receiver = fixture.receiver();
        receiver.write(0, 0, b"ab").expect("in order");
        receiver.write(0, 2, b"c").expect("in order");
        receiver.write(2, 0, b"defg").expect("in order, past the empty file");
        receiver.finish().expect("whole");
        let received = fixture.received.0.lock();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].applied.position.index.0, 9);
        let dir = fixture.dirs.received(GroupId(1), "x");
        for (name, content) in [("1", "abc"), ("2", ""), ("3", "defg")] {
            assert_eq!(std::fs::read_to_string(dir.join(name)).expect("there"), content);
        }
    }

    #[test]
    fn a_wrong_byte_is_found_and_nothing_stays() {
        let fixture = Fixture::new();
        let mut receiver = fixture.receiver();
        let error = receiver.write(0, 0, b"abX").expect_err("damaged");
        assert!(matches!(error, ReceiveError::Checksum { file: 0 }), "{error}");
        receiver.finish().expect_err("not whole");
        assert!(fixture.nothing_is_left());
    }

    #[test]
    fn a_snapshot_that_ends_early_is_not_handed_on() {
        let fixture = Fixture::new();
        let mut receiver = fixture.receiver();
        receiver.write(0, 0, b"abc").expect("in order");
        receiver.write(2, 0, b"def").expect("in order");
        let error = receiver.finish().expect_err("a byte is missing");
        assert!(matches!(error, ReceiveError::Incomplete { file: 2, offset: 3 }), "{error}");
        assert!(fixture.nothing_is_left());
    }

    #[test]
    fn chunks_out_of_order_or_past_the_end_are_refused() {
        let fixture = Fixture::new();
        for (file, offset, data) in [(0, 1, "b"), (2, 0, "defg"), (0, 0, "abcd"), (9, 0, "a")] {
            let mut receiver = fixture.receiver();
            receiver.write(file, offset, data.as_bytes()).expect_err("refused");
        }
        let mut receiver = fixture.receiver();
        receiver.write(0, 0, b"abc").expect("in order");
        receiver.write(2, 0, b"defg").expect("in order");
        receiver.write(2, 4, b"h").expect_err("past the end");
        drop(receiver);
        assert!(fixture.nothing_is_left());
    }

    #[test]
    fn a_restart_removes_all_but_the_marked_snapshot() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let dirs = SnapshotDir::open(root.path(), &[]).expect("made");
        let paths = [
            dirs.received(GroupId(1), "a"),
            dirs.received(GroupId(1), "b"),
            dirs.cut(GroupId(1), "a"),
        ];
        for path in &paths {
            std::fs::create_dir(path).expect("made");
            std::fs::write(path.join("file"), "x").expect("written");
        }
        SnapshotDir::open(root.path(), &[(GroupId(1), "a".into())]).expect("opened again");
        assert_eq!(paths.map(|path| path.exists()), [true, false, false]);
    }
}
