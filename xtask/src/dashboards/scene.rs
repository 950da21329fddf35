//! The environment of the live checks and the drawings: a cluster of real processes under load, and
//! a real Prometheus that scrapes it. Dropping it stops everything.

use std::net::TcpListener;

use anyhow::Context as _;

use super::load::Load;
use super::prometheus::Prometheus;
use crate::cluster::Cluster;

pub(crate) struct Scene {
    // Fields are dropped in this order: the load before the cluster.
    load: Load,
    pub(crate) prometheus: Prometheus,
    _cluster: Cluster,
    /// Accepts connections and reads no span: the checks use exemplars, not traces.
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
                // Trace only the requests for which the load asks for a trace.
                ("OTEL_TRACES_SAMPLER", "parentbased_always_off"),
                // Cut logs and flush stores within seconds, so that these series change too.
                ("RINGKV_LOG_ENTRIES_MAX", "100"),
            ],
        )?;
        let prometheus = Prometheus::start(cluster.metrics())?;
        let load = Load::start(cluster.gateway());
        Ok(Self { load, prometheus, _cluster: cluster, _collector: collector })
    }

    /// Ends the load, then everything else, and returns the number of answered requests.
    ///
    /// # Errors
    /// A request got a response that a healthy cluster does not send.
    pub(crate) fn end(self) -> anyhow::Result<u64> {
        self.load.stop()
    }
}
