//! Series of values that other code keeps, read at each scrape: bounds, and the connections to the
//! cluster.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, PullingGauge, Registry};
use ringkv_budget::Budget;
use ringkv_client::Client;

use crate::limits::Limits;

/// Adds the series to the registry.
///
/// # Errors
/// A name is taken in this registry.
pub(crate) fn register(
    registry: &Registry,
    limits: &Limits,
    bodies: &Arc<Budget>,
    client: &Client,
) -> prometheus::Result<()> {
    let gauge = |name: &str, help: &str, value: Box<dyn Fn() -> f64 + Send + Sync>| {
        registry.register(Box::new(PullingGauge::new(name, help, value)?))
    };
    let (requests_max, bytes_max) = (limits.requests_max, limits.body_bytes_in_all_max);
    gauge(
        "ringkv_gateway_in_flight_limit",
        "Key requests that may wait for their answer at a time.",
        Box::new(move || requests_max as f64),
    )?;
    gauge(
        "ringkv_gateway_body_bytes_limit",
        "Bytes of request bodies that may be held at a time.",
        Box::new(move || bytes_max as f64),
    )?;
    let bodies = Arc::clone(bodies);
    gauge(
        "ringkv_gateway_body_bytes",
        "Bytes of request bodies held.",
        Box::new(move || bodies.used() as f64),
    )?;
    let of_placement = client.clone();
    gauge(
        "ringkv_gateway_topology_age_seconds",
        "Time since a placement replica was last heard, in seconds; 0 while one is watched.",
        Box::new(move || of_placement.topology_age().as_secs_f64()),
    )?;
    registry.register(Box::new(Nodes::new(client.clone())?))
}

/// `ringkv_gateway_node_connected{node}`: as many series as the topology has active nodes.
struct Nodes {
    /// Held over a scrape, so that another one does not read half of it.
    scrape: Mutex<()>,
    client: Client,
    connected: IntGaugeVec,
}

impl Nodes {
    fn new(client: Client) -> prometheus::Result<Self> {
        let options = Opts::new(
            "ringkv_gateway_node_connected",
            "Whether there is a connection to a storage node of the topology: 1 yes, 0 no.",
        );
        let connected = IntGaugeVec::new(options, &["node"])?;
        Ok(Self { scrape: Mutex::new(()), client, connected })
    }
}

impl Collector for Nodes {
    fn desc(&self) -> Vec<&Desc> {
        self.connected.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_at_a_time = self.scrape.lock();
        self.connected.reset();
        for (node, connected) in self.client.connected() {
            self.connected.with_label_values(&[&node.to_string()]).set(i64::from(connected));
        }
        self.connected.collect()
    }
}
