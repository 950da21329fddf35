//! The data directory of a placement replica: whose it is, and files that change all at once.
//!
//! Layout: `LOCK`, `identity` (text), `state` (the image at its last flush), `raft/` (the log),
//! `snapshots/` (on their way out and in).
//! Invariant: one process at a time, by a lock on `LOCK`; a directory belongs to one replica of one
//! membership for ever: its votes and log mean nothing under another id.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use ringkv_topology::NodeId;

const IDENTITY: &str = "identity";
const HEADER: &str = "ringkv placement identity 1";

/// Creates the directory where needed and takes it for this process, as long as the file is kept.
///
/// # Errors
/// Another process has it, or it cannot be created or written to.
pub(crate) fn lock(dir: &Path) -> anyhow::Result<File> {
    let name = dir.display();
    fs::create_dir_all(dir).with_context(|| format!("--data-dir: create {name}"))?;
    let file =
        File::create(dir.join("LOCK")).with_context(|| format!("--data-dir: write to {name}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "--data-dir: {name} is in use by another process; every replica needs its own"
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("--data-dir: lock {name}"))
        }
    }
}

/// Who the directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) replica: NodeId,
    /// All replicas, ascending.
    pub(crate) members: Vec<NodeId>,
}

impl Identity {
    /// Makes the directory this replica's, or confirms that it is.
    ///
    /// # Errors
    /// It belongs to another replica or membership, or cannot be read or written.
    pub(crate) fn claim(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(IDENTITY);
        let found = match fs::read_to_string(&path) {
            Ok(text) => parse(&text).with_context(|| format!("{} is damaged", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return replace_file(dir, IDENTITY, self.text().as_bytes())
                    .with_context(|| format!("--data-dir: write {}", path.display()));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("--data-dir: read {}", path.display()));
            }
        };
        let dir = dir.display();
        anyhow::ensure!(
            found.replica == self.replica,
            "--id: {dir} belongs to placement replica {}, not {}",
            found.replica,
            self.replica
        );
        anyhow::ensure!(
            found.members == self.members,
            "--peers: {dir} belongs to a placement of replicas {}, not {}",
            list(&found.members),
            list(&self.members)
        );
        Ok(())
    }

    fn text(&self) -> String {
        let (replica, members) = (self.replica, list(&self.members));
        let body = format!("{HEADER}\nreplica {replica}\nmembers {members}\n");
        format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
    }
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// `None` for anything but the text of an identity, to the byte.
fn parse(text: &str) -> Option<Identity> {
    let mut lines = text.strip_prefix(HEADER)?.trim_start().lines();
    let id = |id: &str| NodeId::from_wire(id.parse().ok()?);
    let replica = id(lines.next()?.strip_prefix("replica ")?)?;
    let members = lines.next()?.strip_prefix("members ")?;
    let members = members.split(',').map(id).collect::<Option<_>>()?;
    let identity = Identity { replica, members };
    (identity.text() == text).then_some(identity)
}

/// Replaces a file; whenever the power fails, the old or the new one is there, whole. Returns
/// once the new one is durable.
pub(crate) fn replace_file(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(replica: u64, members: &[u64]) -> Identity {
        let members = members.iter().copied().map(NodeId).collect();
        Identity { replica: NodeId(replica), members }
    }

    #[test]
    fn a_directory_stays_with_its_replica() {
        let dir = tempfile::tempdir().unwrap();
        identity(2, &[1, 2, 3]).claim(dir.path()).unwrap();
        identity(2, &[1, 2, 3]).claim(dir.path()).unwrap();
        let error = identity(1, &[1, 2, 3]).claim(dir.path()).unwrap_err().to_string();
        assert!(error.contains("belongs to placement replica 2, not 1"), "{error}");
        let error = identity(2, &[2]).claim(dir.path()).unwrap_err().to_string();
        assert!(error.contains("of replicas 1,2,3, not 2"), "{error}");
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let text = identity(2, &[1, 2, 3]).text();
        for (at, _) in text.char_indices() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(parse(std::str::from_utf8(&bytes).unwrap()), None, "byte {at}");
            assert_eq!(parse(&text[..at]), None);
        }
        assert_eq!(parse(&text), Some(identity(2, &[1, 2, 3])));
    }

    #[test]
    fn a_replaced_file_is_the_new_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        replace_file(dir.path(), "state", b"a longer old one").unwrap();
        replace_file(dir.path(), "state", b"new").unwrap();
        assert_eq!(fs::read(dir.path().join("state")).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
