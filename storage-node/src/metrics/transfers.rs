//! Series of the snapshots that this node is sending, read when a scrape asks.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};
use ringkv_transport::Transfers;

/// The collector.
pub(crate) struct TransferSeries {
    sending: IntGauge,
    transfers: Transfers,
}

impl TransferSeries {
    /// Adds `ringkv_snapshots_sending` to the registry.
    ///
    /// # Errors
    /// The name is taken in this registry.
    pub(crate) fn register(registry: &Registry, transfers: Transfers) -> prometheus::Result<()> {
        let sending = IntGauge::new(
            "ringkv_snapshots_sending",
            "Snapshots that are being sent to other nodes now.",
        )?;
        registry.register(Box::new(Self { sending, transfers }))
    }
}

impl Collector for TransferSeries {
    fn desc(&self) -> Vec<&Desc> {
        self.sending.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sending = i64::try_from(self.transfers.running().len());
        self.sending.set(sending.unwrap_or(i64::MAX));
        self.sending.collect()
    }
}
