//! Ties the data directory of a placement replica to that replica.
//!
//! Layout: `LOCK`, `identity` (text), `state` (the image at its last flush), `raft/` (the log),
//! `snapshots/` (snapshots being sent or received). Owns `identity` only; never touches the others.
//! Invariant: a directory belongs to one replica of one membership for ever: its votes and its log
//! are invalid under another id.

use anyhow::Context as _;
use ringkv_data_dir::DataDir;
use ringkv_topology::NodeId;

const FILE: &str = "identity";
const HEADER: &str = "ringkv placement identity 1";

/// The replica that the directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) replica: NodeId,
    /// All replicas, ascending.
    pub(crate) members: Vec<NodeId>,
}

impl Identity {
    /// Writes the identity into an empty directory, or checks the one that is there.
    ///
    /// # Errors
    /// It belongs to another replica or membership, or cannot be read or written.
    pub(crate) fn claim(&self, dir: &DataDir) -> anyhow::Result<()> {
        let path = dir.path().join(FILE);
        let found =
            dir.read(FILE).with_context(|| format!("--data-dir: read {}", path.display()))?;
        let Some(bytes) = found else {
            return dir
                .replace(FILE, self.text().as_bytes())
                .with_context(|| format!("--data-dir: write {}", path.display()));
        };
        let found = parse(&bytes).with_context(|| format!("{} is damaged", path.display()))?;
        let dir = dir.path().display();
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

/// Parses an identity; `None` unless every byte is as it was written.
fn parse(bytes: &[u8]) -> Option<Identity> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_prefix(HEADER)?.trim_start().lines();
    let id = |id: &str| NodeId::from_wire(id.parse().ok()?);
    let replica = id(lines.next()?.strip_prefix("replica ")?)?;
    let members = lines.next()?.strip_prefix("members ")?;
    let members = members.split(',').map(id).collect::<Option<_>>()?;
    let identity = Identity { replica, members };
    (identity.text() == text).then_some(identity)
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
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        identity(2, &[1, 2, 3]).claim(&dir).unwrap();
        identity(2, &[1, 2, 3]).claim(&dir).unwrap();
        let error = identity(1, &[1, 2, 3]).claim(&dir).unwrap_err().to_string();
        assert!(error.contains("belongs to placement replica 2, not 1"), "{error}");
        let error = identity(2, &[2]).claim(&dir).unwrap_err().to_string();
        assert!(error.contains("of replicas 1,2,3, not 2"), "{error}");
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let good = identity(2, &[1, 2, 3]).text().into_bytes();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(parse(&bad), None, "byte {at}");
            assert_eq!(parse(&good[..at]), None);
        }
        assert_eq!(parse(&good), Some(identity(2, &[1, 2, 3])));
    }
}
