//! The data directory before placement is asked: new, intact, or without its stores.
//!
//! Owns the checks that need no other process. A node never starts under its id with stores that
//! are gone: it has forgotten its votes and what it acknowledged. A node is abandoned only when
//! the operator says so (`--refill`).

use anyhow::{Context as _, bail, ensure};
use ringkv_data_dir::DataDir;

use crate::config::{Config, Expect};
use crate::identity::{self, Identity};
use crate::{layout, topology_file};

/// What is in the directory, in the order of its removal: the identity last, so that a
/// crash in between never leaves stores without the id they belong to.
const ALL: [&str; 5] =
    [layout::SNAPSHOTS, layout::DATA, layout::RAFT, topology_file::FILE, identity::FILE];

/// Returns the identity for this start, with its number durable; `None` for a new node.
///
/// # Errors
/// The directory is not what `--expect` says, or it is damaged, or its stores are gone.
pub(crate) fn begin_start(dir: &DataDir, config: &Config) -> anyhow::Result<Option<Identity>> {
    let path = dir.path().display();
    let Some(mut identity) = Identity::load(dir)? else {
        ensure!(
            config.expect != Some(Expect::Existing),
            "--expect: {path} has no node in it, but an existing one is expected; is it the right \
             volume?"
        );
        if let Some(store) = layout::STORES.into_iter().find(|name| dir.path().join(name).exists())
        {
            bail!(
                "--data-dir: {path} has `{store}` but no `{}`: it is not known whose data this is; \
                 restore that file, or empty {path} to join as a new node",
                identity::FILE
            );
        }
        return Ok(None);
    };
    ensure!(
        config.expect != Some(Expect::New),
        "--expect: {path} has node {} of cluster {} in it, but a new one is expected",
        identity.node,
        identity.cluster
    );
    let gone = layout::STORES.into_iter().find(|name| !has_store(dir, name));
    if let Some(store) = gone.filter(|_| identity.has_stores) {
        let node = identity.node;
        if config.refill {
            tracing::warn!(%node, store, "the node's store is gone; abandoning the node (--refill)");
            give_up(dir)?;
            return Ok(None);
        }
        bail!(
            "--data-dir: {path} is of node {node}, but `{store}` is missing: the node has lost what \
             it stored and how it voted, so it cannot go on under its id. Restore `{store}`, or \
             empty {path} (--refill does it) to join as a new node, which gets the data from the \
             other nodes"
        );
    }
    identity.starts += 1;
    identity.store(dir)?;
    Ok(Some(identity))
}

/// Empties the directory of all that belongs to a node.
///
/// # Errors
/// Something cannot be removed.
pub(crate) fn give_up(dir: &DataDir) -> anyhow::Result<()> {
    dir.remove(&ALL).with_context(|| format!("--data-dir: empty {}", dir.path().display()))
}

/// Whether RocksDB has ever been opened there.
fn has_store(dir: &DataDir, name: &str) -> bool {
    dir.path().join(name).join("CURRENT").exists()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;
    use ringkv_topology::{ClusterId, NodeId, NodeSecret};

    use super::*;
    use crate::config::Args;

    fn config(extra: &[&str]) -> Config {
        let needed = ["node", "--placement=p1:7000", "--data-dir=/data"];
        Config::try_from(Args::try_parse_from(needed.iter().chain(extra)).unwrap()).unwrap()
    }

    fn identity(has_stores: bool) -> Identity {
        let (cluster, node) = (ClusterId(42), NodeId(1));
        Identity { cluster, node, secret: NodeSecret::new([1; 16]), starts: 4, has_stores }
    }

    fn create_stores(dir: &Path) {
        for store in layout::STORES {
            std::fs::create_dir_all(dir.join(store)).unwrap();
            std::fs::write(dir.join(store).join("CURRENT"), "").unwrap();
        }
    }

    #[test]
    fn every_start_has_its_number_before_placement_is_asked() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        assert_eq!(begin_start(&dir, &config(&[])).unwrap(), None);
        identity(false).store(&dir).unwrap();
        for starts in [5, 6] {
            let started = begin_start(&dir, &config(&[])).unwrap().unwrap();
            assert_eq!(started, Identity { starts, ..identity(false) });
            assert_eq!(Identity::load(&dir).unwrap(), Some(started));
        }
    }

    #[test]
    fn a_node_whose_stores_are_gone_does_not_come_back_under_its_name() {
        for missing in layout::STORES {
            let temporary = tempfile::tempdir().unwrap();
            let dir = DataDir::open(temporary.path()).unwrap();
            create_stores(temporary.path());
            identity(true).store(&dir).unwrap();
            begin_start(&dir, &config(&[])).unwrap().unwrap();
            std::fs::remove_dir_all(temporary.path().join(missing)).unwrap();
            let error = begin_start(&dir, &config(&[])).unwrap_err().to_string();
            assert!(error.contains(&format!("`{missing}` is missing")), "{error}");
            assert_eq!(Identity::load(&dir).unwrap().unwrap().starts, 5, "no start is counted");
            std::fs::write(temporary.path().join("notes"), "").unwrap();
            assert_eq!(begin_start(&dir, &config(&["--refill"])).unwrap(), None);
            let left = layout::STORES.map(|store| temporary.path().join(store).exists());
            assert_eq!((left, Identity::load(&dir).unwrap()), ([false; 2], None));
            assert!(temporary.path().join("notes").exists(), "it is not ours");
        }
    }

    #[test]
    fn a_crash_before_the_stores_are_created_is_no_loss() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        identity(false).store(&dir).unwrap();
        assert!(begin_start(&dir, &config(&[])).unwrap().is_some());
        std::fs::create_dir(temporary.path().join(layout::RAFT)).unwrap();
        assert!(begin_start(&dir, &config(&[])).unwrap().is_some());
    }

    #[test]
    fn stores_without_an_identity_are_of_no_known_node() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        create_stores(temporary.path());
        let error = begin_start(&dir, &config(&[])).unwrap_err().to_string();
        assert!(error.contains("has `raft` but no `identity`"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_expected_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        let error = begin_start(&dir, &config(&["--expect=existing"])).unwrap_err().to_string();
        assert!(error.starts_with("--expect: "), "{error}");
        assert_eq!(begin_start(&dir, &config(&["--expect=new"])).unwrap(), None);
        identity(false).store(&dir).unwrap();
        let error = begin_start(&dir, &config(&["--expect=new"])).unwrap_err().to_string();
        assert!(error.contains("node 1 of cluster 42"), "{error}");
        assert!(begin_start(&dir, &config(&["--expect=existing"])).unwrap().is_some());
    }
}
