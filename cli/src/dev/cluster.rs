//! The services of a dev cluster as tasks of this process.
//!
//! Owns the translation of a layout into each service's own command line (so that their checks
//! and defaults, and the `RINGKV_*` variables they read, hold here too), and the order of stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use ringkv_storage_node::StopNow;
use ringkv_telemetry::trace;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dev::layout::Layout;
use crate::dev::ports::{Bound, Listener, ServiceListeners};
use crate::failure::{Exit, Failure};
use crate::output;

/// How long one kind of service may take to stop before the next kind is stopped anyway.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// A running dev cluster.
pub(crate) struct Cluster {
    gateway_address: SocketAddr,
    /// In the order of stopping: gateway, nodes, placement.
    tiers: Vec<Tier>,
}

/// Services that stop together.
struct Tier {
    shutdown: CancellationToken,
    /// Each service has a tracer of its own under its own name.
    traces: trace::Settings,
    tasks: JoinSet<(String, anyhow::Result<()>)>,
}

impl Cluster {
    /// Starts all services; returns before they are ready.
    ///
    /// # Errors
    /// The settings of a service are invalid.
    pub(crate) fn start(layout: &Layout, bound: Bound, data: &Path) -> Result<Self, Failure> {
        let traces = trace::Settings::from_env()
            .map_err(|error| Failure::new(Exit::Usage, error.to_string(), ""))?;
        let gateway_address = bound.gateway.address();
        let placement_address = bound.placement.grpc.address().to_string();
        let mut placement = Tier::new(&traces);
        placement.start_placement(layout, bound.placement, &data.join("placement"))?;
        let mut nodes = Tier::new(&traces);
        for (number, listeners) in (1..).zip(bound.nodes) {
            let dir = data.join(format!("node-{number}"));
            nodes.start_node(number, listeners, &placement_address, &dir)?;
        }
        let mut gateway = Tier::new(&traces);
        gateway.start_gateway(bound.gateway, &placement_address)?;
        Ok(Self { gateway_address, tiers: vec![gateway, nodes, placement] })
    }

    /// The gateway's base URL, as a browser or curl on this machine reaches it.
    pub(crate) fn url(&self) -> String {
        let mut address = self.gateway_address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{address}")
    }

    /// Waits for a service that fails. Cancel safe.
    pub(crate) async fn failed(&mut self) -> Failure {
        let [gateway, nodes, placement] = self.tiers.as_mut_slice() else {
            unreachable!("a cluster has three tiers");
        };
        tokio::select! {
            failure = gateway.failed() => failure,
            failure = nodes.failed() => failure,
            failure = placement.failed() => failure,
        }
    }

    /// Stops everything, tier by tier.
    ///
    /// # Errors
    /// A service failed to stop cleanly or in time; the others were stopped nevertheless.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let mut stopped = Ok(());
        for tier in self.tiers {
            stopped = stopped.and(tier.stop().await);
        }
        stopped
    }
}

impl Tier {
    fn new(traces: &trace::Settings) -> Self {
        let (shutdown, traces) = (CancellationToken::new(), traces.clone());
        Self { shutdown, traces, tasks: JoinSet::new() }
    }

    fn spawn<F>(&mut self, name: String, serve: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, serve.await) });
    }

    fn start_placement(
        &mut self,
        layout: &Layout,
        listeners: ServiceListeners,
        data: &Path,
    ) -> Result<(), Failure> {
        let address = listeners.grpc.address().to_string();
        let args = ringkv_placement::Args::try_parse_from([
            "ringkv-placement".as_ref(),
            "--id=1".as_ref(),
            flag("listen", &address).as_ref(),
            flag("advertise", &address).as_ref(),
            flag("peers", &format!("1={address}")).as_ref(),
            flag("metrics-listen", &listeners.metrics.address()).as_ref(),
            flag("replication-factor", &layout.replicas).as_ref(),
            flag("initial-nodes", &layout.nodes_formed).as_ref(),
            "--data-dir".as_ref(),
            data.as_os_str(),
        ]);
        let mut config = args
            .map_err(anyhow::Error::from)
            .and_then(|args| Ok(ringkv_placement::Config::try_from(args)?))
            .map_err(|error| refused("placement", &error))?;
        config.trace = self.traces.clone();
        let listeners = ringkv_placement::Listeners {
            grpc: listeners.grpc.into_socket(),
            metrics: listeners.metrics.into_socket(),
            admin: Some(listeners.admin.into_socket()),
        };
        let serve = ringkv_placement::serve(config, listeners, self.shutdown.clone());
        self.spawn("placement".to_owned(), serve);
        Ok(())
    }

    fn start_node(
        &mut self,
        number: u16,
        listeners: ServiceListeners,
        placement: &str,
        data: &Path,
    ) -> Result<(), Failure> {
        let address = listeners.grpc.address().to_string();
        let name = format!("node {number}");
        let args = ringkv_storage_node::Args::try_parse_from([
            "ringkv-storage-node".as_ref(),
            flag("listen", &address).as_ref(),
            flag("advertise", &address).as_ref(),
            flag("placement", &placement).as_ref(),
            flag("metrics-listen", &listeners.metrics.address()).as_ref(),
            "--data-dir".as_ref(),
            data.as_os_str(),
        ]);
        let mut config = args
            .map_err(anyhow::Error::from)
            .and_then(|args| Ok(ringkv_storage_node::Config::try_from(args)?))
            .map_err(|error| refused(&name, &error))?;
        let listeners = ringkv_storage_node::Listeners {
            grpc: listeners.grpc.into_socket(),
            metrics: listeners.metrics.into_socket(),
            admin: listeners.admin.into_socket(),
        };
        config.trace = self.traces.clone();
        // `ringkv node stop --now` ends one node; all services share this process.
        let crash = CancellationToken::new();
        let crashed = crash.clone().cancelled_owned();
        config.stop_now = StopNow::Call(Arc::new(move || crash.cancel()));
        let serve = ringkv_storage_node::serve(config, listeners, self.shutdown.clone());
        self.spawn(name, async {
            tokio::select! {
                served = serve => served,
                () = crashed => Ok(()),
            }
        });
        Ok(())
    }

    fn start_gateway(&mut self, listener: Listener, placement: &str) -> Result<(), Failure> {
        let args = ringkv_gateway::Args::try_parse_from([
            "ringkv-gateway".to_owned(),
            flag("listen", &listener.address()),
            flag("placement", &placement),
        ]);
        let mut config = args
            .map_err(anyhow::Error::from)
            .and_then(|args| Ok(ringkv_gateway::Config::try_from(args)?))
            .map_err(|error| refused("gateway", &error))?;
        config.trace = self.traces.clone();
        let listeners = ringkv_gateway::Listeners { http: listener.into_socket() };
        let serve = ringkv_gateway::serve(config, listeners, self.shutdown.clone());
        self.spawn("gateway".to_owned(), serve);
        Ok(())
    }

    /// Waits for a failure. A service that ends without one was stopped by `ringkv node stop`.
    async fn failed(&mut self) -> Failure {
        while let Some(task) = self.tasks.join_next().await {
            match task {
                Ok((name, Ok(()))) => output::remark(&format!("{name} has stopped")),
                Ok((name, Err(error))) => return ended(&format!("{name} failed: {error:#}")),
                Err(error) => return ended(&format!("a service ended unexpectedly: {error}")),
            }
        }
        std::future::pending().await
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.shutdown.cancel();
        let mut stopped = Ok(());
        let all = tokio::time::timeout(STOP_DEADLINE, async {
            while let Some(task) = self.tasks.join_next().await {
                let this = match task {
                    Ok((_, Ok(()))) => Ok(()),
                    Ok((name, Err(error))) => {
                        Err(ended(&format!("{name} did not stop cleanly: {error:#}")))
                    }
                    Err(error) => Err(ended(&format!("a service ended unexpectedly: {error}"))),
                };
                stopped = std::mem::replace(&mut stopped, Ok(())).and(this);
            }
        })
        .await;
        if all.is_err() {
            self.tasks.abort_all();
            return stopped.and(Err(ended(&format!(
                "services did not stop within {} s",
                STOP_DEADLINE.as_secs()
            ))));
        }
        stopped
    }
}

fn flag(name: &str, value: &impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}

fn refused(service: &str, error: &anyhow::Error) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("invalid settings for {service}: {error:#}"),
        "check the RINGKV_* environment variables",
    )
}

fn ended(happened: &str) -> Failure {
    Failure::new(Exit::NotApplied, happened, "run again with --log-level info")
}
