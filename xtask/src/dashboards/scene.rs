//! What the live checks and the drawings look at: a cluster of real processes under load, and a
//! real Prometheus that scrapes it. All of it ends with the value.

use std::net::TcpListener;

use anyhow::Context as _;

use super::load::Load;
use super::prometheus::Prometheus;
use crate::cluster::Cluster;

pub(crate) struct Scene {
    // Fields end in this order: the load before what it drives.
    load: Load,
    pub(crate) prometheus: Prometheus,
    _cluster: Cluster,
    /// Takes no span, and never refuses one either: the checks look at exemplars, not at traces.
    _collector: TcpListener,
}

impl Scene {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the cluster")?;
        let collector = TcpListener::bind("127.0.0.1:0").context("bind the collector")?;
        let endpoint = format!("http://{}", collector.local_addr()?);
        let cluster = Cluster::start_with(
            folder,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                // Only what the load asks to be traced.
                ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
                // Logs are cut and stores flushed within seconds, so that those series move too.
                ("RINGKV_LOG_ENTRIES_MAX", "100"),
            ],
        )?;
        let prometheus = Prometheus::start(cluster.metrics())?;
        let load = Load::start(cluster.gateway());
        Ok(Self { load, prometheus, _cluster: cluster, _collector: collector })
    }

    /// Ends the load, then all else, and gives the number of requests that were answered.
    ///
    /// # Errors
    /// The load met an answer that none should get in health.
    pub(crate) fn end(self) -> anyhow::Result<u64> {
        self.load.stop()
    }
}
