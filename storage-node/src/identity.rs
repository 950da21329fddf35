//! Who this node is: the cluster and the node id, kept in the data directory.
//!
//! Assigned by placement once and never changed. The node id stands for the data in the directory:
//! a node that starts with an empty directory is another node, because its votes are lost. Owns
//! what proves it to placement: the secret, and the number of starts, by which an older copy of
//! the directory is found. Only this user may read the file; it is text, so that people can:
//! ```text
//! ringkv identity 2
//! cluster 8271…
//! node 3
//! secret 5c0e…
//! starts 12
//! stores yes
//! checksum 9f0c…
//! ```

use anyhow::{Context as _, bail};
use ringkv_data_dir::DataDir;
use ringkv_topology::{ClusterId, NodeId, NodeSecret};

/// The name of the file.
pub(crate) const FILE: &str = "identity";
const HEADER: &str = "ringkv identity 2";

/// A node's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) secret: NodeSecret,
    /// How often a process has started on the directory, this start included.
    pub(crate) starts: u64,
    /// Whether the stores were ever created: from then on they must be there.
    pub(crate) has_stores: bool,
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
        dir.replace_private(FILE, self.text().as_bytes())
            .with_context(|| format!("write {}", dir.path().join(FILE).display()))
    }

    fn text(self) -> String {
        let Self { cluster, node, secret, starts, has_stores } = self;
        let (secret, stores) = (secret.to_hex(), if has_stores { "yes" } else { "no" });
        let body = format!(
            "{HEADER}\ncluster {cluster}\nnode {node}\nsecret {secret}\nstarts {starts}\n\
             stores {stores}\n"
        );
        format!("{body}checksum {:08x}\n", crc32fast::hash(body.as_bytes()))
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Identity> {
    let text = std::str::from_utf8(bytes).context("the file is damaged: it is not text")?;
    let mut lines = text.lines();
    match lines.next() {
        Some(HEADER) => {}
        other => bail!(
            "the file begins with {other:?}, not `{HEADER}`: it is damaged or of another version"
        ),
    }
    let mut field = |name: &str| {
        let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.with_context(|| format!("the file has no valid `{name}` line"))
    };
    let cluster = ClusterId::from_wire(number("cluster", field("cluster")?)?);
    let node = NodeId::from_wire(number("node", field("node")?)?);
    let secret = NodeSecret::from_hex(field("secret")?);
    let identity = Identity {
        cluster: cluster.context("the file names cluster 0")?,
        node: node.context("the file names node 0")?,
        secret: secret.context("the `secret` line is not 32 hexadecimal digits")?,
        starts: number("starts", field("starts")?)?,
        has_stores: match field("stores")? {
            "yes" => true,
            "no" => false,
            _ => bail!("the `stores` line is neither yes nor no"),
        },
    };
    // Comparing the whole text also refuses bytes after the checksum.
    if text != identity.text() {
        bail!("the file is damaged: wrong checksum");
    }
    Ok(identity)
}

fn number(name: &str, value: &str) -> anyhow::Result<u64> {
    value.parse().with_context(|| format!("the `{name}` line is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        cluster: ClusterId(7_000_000_000),
        node: NodeId(3),
        secret: NodeSecret::new([0xa5; 16]),
        starts: 12,
        has_stores: true,
    };

    #[test]
    fn it_reads_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        assert_eq!(Identity::load(&data_dir).unwrap(), None);
        IDENTITY.store(&data_dir).unwrap();
        assert_eq!(Identity::load(&data_dir).unwrap(), Some(IDENTITY));
        let first = Identity { starts: 1, has_stores: false, ..IDENTITY };
        first.store(&data_dir).unwrap();
        assert_eq!(Identity::load(&data_dir).unwrap(), Some(first));
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
        let earlier = b"ringkv identity 1\ncluster 7\nnode 3\nchecksum 00000000\n";
        let error = parse(earlier).unwrap_err().to_string();
        assert!(error.contains("ringkv identity 1"), "{error}");
        assert!(parse(&good[..good.len() - 1]).is_err());
        assert!(parse(&[good.as_slice(), b"more"].concat()).is_err());
    }
}
