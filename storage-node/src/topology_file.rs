//! The last topology, stored in the data directory so that a node can restart without placement.
//!
//! A cache of what placement said, never an authority: a newer epoch from placement replaces it.
//! Bytes: version, checksum of the rest (little endian), the topology as on the wire.

use anyhow::{Context as _, bail};
use prost::Message as _;
use ringkv_data_dir::DataDir;
use ringkv_topology::Topology;

/// The name of the file.
pub(crate) const FILE: &str = "topology";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;

/// The stored topology; `None` when there is none yet.
///
/// # Errors
/// The file cannot be read, is damaged, or is of a version this build does not know.
pub(crate) fn load(dir: &DataDir) -> anyhow::Result<Option<Topology>> {
    let path = dir.path().join(FILE);
    let bytes = dir.read(FILE).with_context(|| format!("read {}", path.display()))?;
    bytes
        .map(|bytes| decode(&bytes).with_context(|| format!("read {}", path.display())))
        .transpose()
}

/// Replaces the stored topology; returns once it is durable.
///
/// # Errors
/// It could not be written; the old one is still there.
pub(crate) fn store(dir: &DataDir, topology: &Topology) -> anyhow::Result<()> {
    dir.replace(FILE, &encode(topology))
        .with_context(|| format!("write {}", dir.path().join(FILE).display()))
}

fn encode(topology: &Topology) -> Vec<u8> {
    let body = ringkv_proto::topology::to_proto(topology).encode_to_vec();
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

fn decode(bytes: &[u8]) -> anyhow::Result<Topology> {
    let Some((head, body)) = bytes.split_at_checked(HEAD_BYTES) else {
        bail!("the file is damaged: it is too short");
    };
    if head[0] != VERSION {
        bail!("the file has version {}, this build knows {VERSION}", head[0]);
    }
    if head[1..] != crc32fast::hash(body).to_le_bytes() {
        bail!("the file is damaged: wrong checksum");
    }
    let wire = ringkv_proto::v1::Topology::decode(body).context("the file is damaged")?;
    ringkv_proto::topology::from_proto(&wire).context("the file is damaged")
}

#[cfg(test)]
mod tests {
    use ringkv_storage_core::testing::topology::bootstrapped;

    use super::*;

    #[test]
    fn it_reads_back_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        assert_eq!(load(&data_dir).unwrap(), None);
        let topology = bootstrapped(3);
        store(&data_dir, &topology).unwrap();
        assert_eq!(load(&data_dir).unwrap(), Some(topology));
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let good = encode(&bootstrapped(1));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode(&bad).is_err(), "byte {at} changed and was accepted");
        }
        assert!(decode(&good[..3]).is_err());
    }
}
