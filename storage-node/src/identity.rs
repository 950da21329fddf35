//! Who this node is: the cluster and the node id, kept in the data directory.
//!
//! Assigned by placement once and never changed. The node id stands for the data in the directory:
//! a node that starts with an empty directory is another node, because its votes are lost. The
//! file is text, so that people can read it:
//! ```text
//! ringkv identity 1
//! cluster 8271…
//! node 3
//! checksum 9f0c…
//! ```

use anyhow::{Context as _, bail};
use ringkv_data_dir::DataDir;
use ringkv_topology::{ClusterId, NodeId};

const FILE: &str = "identity";
const HEADER: &str = "ringkv identity 1";

/// A node's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
}

impl Identity {
    /// The identity in the directory; `None` for a node that has none yet.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is of a version this build does not know.
    pub(crate) fn load(dir: &DataDir) -> anyhow::Result<Option<Self>> {
        let path = dir.path().join(FILE);
        let bytes = dir.read(FILE).with_context(|| format!("read {}", path.display()))?;
        bytes
            .map(|bytes| parse(&bytes).with_context(|| format!("read {}", path.display())))
            .transpose()
    }

    /// Writes the identity; returns once it is durable.
    ///
    /// # Errors
    /// It could not be made durable: the node must not act under it.
    pub(crate) fn store(self, dir: &DataDir) -> anyhow::Result<()> {
        dir.replace(FILE, self.text().as_bytes())
            .with_context(|| format!("write {}", dir.path().join(FILE).display()))
    }

    fn text(self) -> String {
        let body = format!("{HEADER}\ncluster {}\nnode {}\n", self.cluster, self.node);
        format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Identity> {
    let text = std::str::from_utf8(bytes).context("the file is damaged: it is not text")?;
    let mut lines = text.lines();
    match lines.next() {
        Some(HEADER) => {}
        other => bail!(
            "the file begins with {other:?}, not `{HEADER}`: it is damaged or of a newer version"
        ),
    }
    let mut number = |name: &str| -> anyhow::Result<u64> {
        let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|v| v.parse().ok())
            .with_context(|| format!("the file has no valid `{name}` line"))
    };
    let cluster = ClusterId::from_wire(number("cluster")?).context("the file names cluster 0")?;
    let node = NodeId::from_wire(number("node")?).context("the file names node 0")?;
    let identity = Identity { cluster, node };
    // Comparing the whole text also refuses bytes after the checksum.
    if text != identity.text() {
        bail!("the file is damaged: wrong checksum");
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { cluster: ClusterId(7_000_000_000), node: NodeId(3) };

    #[test]
    fn it_reads_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        assert_eq!(Identity::load(&data_dir).unwrap(), None);
        IDENTITY.store(&data_dir).unwrap();
        assert_eq!(Identity::load(&data_dir).unwrap(), Some(IDENTITY));
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let good = IDENTITY.text().into_bytes();
        assert_eq!(parse(&good).unwrap(), IDENTITY);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "byte {at} changed and was accepted");
        }
        assert!(parse(&good[..good.len() - 1]).is_err());
        assert!(parse(&[good.as_slice(), b"more"].concat()).is_err());
    }
}
