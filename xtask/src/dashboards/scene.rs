//! What the live checks and the drawings look at: a cluster of real processes under load, and a
//! real Prometheus that scrapes it. All of it ends with the value.

use anyhow::Context as _;

use super::load::Load;
use super::prometheus::Prometheus;
use crate::bench::ringkv::Ringkv;
use crate::bench::store::Store as _;

pub(crate) struct Scene {
    // Fields end in this order: the load before what it drives.
    load: Load,
    pub(crate) prometheus: Prometheus,
    _cluster: Ringkv,
}

impl Scene {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the cluster")?;
        let cluster = Ringkv::start(folder)?;
        let prometheus = Prometheus::start(cluster.metrics())?;
        let load = Load::start(cluster.address());
        Ok(Self { load, prometheus, _cluster: cluster })
    }

    /// Ends the load, then all else, and gives the number of requests that were answered.
    ///
    /// # Errors
    /// The load met an answer that none should get in health.
    pub(crate) fn end(self) -> anyhow::Result<u64> {
        self.load.stop()
    }
}
