//! Ties the data directory of a placement replica to that replica.
//!
//! Layout: `LOCK`, `identity` (text), `genesis` (what the replica begins with, until its log holds
//! it), `state` (the image at its last flush), `raft/` (the log), `snapshots/` (snapshots being sent
//! or received). Owns `identity` and `genesis`. Invariants: a directory belongs to one replica for
//! ever, because its votes and its log are invalid under another id; a directory without an identity
//! is empty, and its process gets an id that was never used.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use ringkv_data_dir::DataDir;
use ringkv_placement_core::place::Place;
use ringkv_topology::{ClusterId, ReplicaId};

const FILE: &str = "identity";
const HEADER: &str = "ringkv placement identity 2";
const GENESIS: &str = "genesis";

/// The replica that the directory belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Drawn when placement was founded: replicas of two placements never mix their logs.
    pub(crate) raft_cluster: ClusterId,
    pub(crate) replica: ReplicaId,
    /// Its number in `--peers`.
    pub(crate) place: Place,
}

/// What a replica begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// It is the only member of a new group; else it joins one.
    pub(crate) founds: bool,
    /// An encoded state: the first state of the group, or who its members are.
    pub(crate) context: Bytes,
}

impl Identity {
    /// The identity of the directory; `None` if it is empty.
    ///
    /// # Errors
    /// The file is damaged, of another version, or missing next to a log.
    pub(crate) fn read(dir: &DataDir) -> anyhow::Result<Option<Self>> {
        let path = dir.path().join(FILE);
        let found =
            dir.read(FILE).with_context(|| format!("--data-dir: read {}", path.display()))?;
        let Some(bytes) = found else {
            let log = dir.path().join("raft");
            ensure!(
                !log.exists(),
                "--data-dir: {} has a log but no identity: move its files away; the replica then \
                 joins under a new id",
                dir.path().display()
            );
            return Ok(None);
        };
        if !bytes.starts_with(HEADER.as_bytes()) && bytes.starts_with(b"ringkv placement identity")
        {
            bail!("--data-dir: {} was written by another version of ringkv", path.display());
        }
        let identity = parse(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(identity))
    }

    /// Makes an empty directory that of a new replica. Durable when it returns.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn write(self, dir: &DataDir, beginning: &Beginning) -> anyhow::Result<()> {
        // First: with an identity the directory must say how its replica begins.
        dir.replace(GENESIS, &beginning.encode()).context("--data-dir: write genesis")?;
        dir.replace(FILE, self.text().as_bytes()).context("--data-dir: write identity")
    }

    fn text(self) -> String {
        let Self { raft_cluster, replica, place } = self;
        let body =
            format!("{HEADER}\nplacement {raft_cluster}\nreplica {replica}\nnumber {place}\n");
        format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
    }
}

impl Beginning {
    /// What the replica of this directory begins with; `None` once its log holds it.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn read(dir: &DataDir) -> anyhow::Result<Option<Self>> {
        let found = dir.read(GENESIS).context("--data-dir: read genesis")?;
        found
            .map(|bytes| Self::decode(&bytes).context("--data-dir: genesis is damaged"))
            .transpose()
    }

    /// The log holds it: without the file a log that is lost is never begun a second time.
    pub(crate) fn done(dir: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(dir.join(GENESIS)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("--data-dir: remove genesis")
            }
            _ => Ok(()),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.founds.into()];
        out.extend_from_slice(&self.context);
        let sum = crc32fast::hash(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (founds, context) = body.split_first()?;
        Some(Self { founds: *founds == 1, context: Bytes::copy_from_slice(context) })
    }
}

/// Parses an identity; `None` unless every byte is as it was written.
fn parse(bytes: &[u8]) -> Option<Identity> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_prefix(HEADER)?.trim_start().lines();
    let mut number = |name: &str| -> Option<u64> {
        let number = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
        number.parse().ok().filter(|number| *number != 0)
    };
    let raft_cluster = ClusterId(number("placement")?);
    let replica = ReplicaId(number("replica")?);
    let identity = Identity { raft_cluster, replica, place: Place(number("number")?) };
    (identity.text() == text).then_some(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { raft_cluster: ClusterId(77), replica: ReplicaId(4), place: Place(2) }
    }

    #[test]
    fn a_directory_stays_with_its_replica() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        assert_eq!(Identity::read(&dir).unwrap(), None);
        let beginning = Beginning { founds: true, context: Bytes::from_static(b"state") };
        identity().write(&dir, &beginning).unwrap();
        assert_eq!(Identity::read(&dir).unwrap(), Some(identity()));
        assert_eq!(Beginning::read(&dir).unwrap(), Some(beginning));
        Beginning::done(dir.path()).unwrap();
        Beginning::done(dir.path()).unwrap();
        assert_eq!(Beginning::read(&dir).unwrap(), None);
    }

    #[test]
    fn a_log_without_an_identity_is_not_an_empty_directory() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        std::fs::create_dir(temporary.path().join("raft")).unwrap();
        let error = Identity::read(&dir).unwrap_err().to_string();
        assert!(error.contains("has a log but no identity"), "{error}");
    }

    #[test]
    fn a_damaged_or_foreign_identity_is_refused() {
        let good = identity().text().into_bytes();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad), None, "byte {at}");
            assert_eq!(parse(&good[..at]), None);
        }
        assert_eq!(parse(&good), Some(identity()));
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        dir.replace(FILE, b"ringkv placement identity 1\nreplica 2\n").unwrap();
        let error = Identity::read(&dir).unwrap_err().to_string();
        assert!(error.contains("another version"), "{error}");
    }

    #[test]
    fn a_damaged_beginning_is_refused() {
        let good = Beginning { founds: false, context: Bytes::from_static(b"members") }.encode();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(Beginning::decode(&bad), None, "byte {at}");
        }
    }
}
