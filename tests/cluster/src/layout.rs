//! The addresses and command lines of a cluster's services.

use std::path::{Path, PathBuf};

use crate::ports::free_port;
use crate::service::Service;
use crate::shape::Shape;

/// Creates the services of one cluster.
pub(crate) struct Layout<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) shape: &'a Shape,
}

impl Layout<'_> {
    pub(crate) fn placement(
        &self,
        id: u16,
        address: &str,
        all: &[String],
    ) -> anyhow::Result<Service> {
        let peers: Vec<_> =
            (1..).zip(all).map(|(id, address): (u16, _)| format!("{id}={address}")).collect();
        let mut service =
            self.service(format!("placement-{id}"), "ringkv-placement", address.to_owned())?;
        service.admin = loopback()?;
        service.args.extend([
            format!("--admin-listen={}", service.admin),
            format!("--id={id}"),
            format!("--peers={}", peers.join(",")),
            format!("--replication-factor={}", self.shape.replication_factor),
            format!("--initial-nodes={}", self.shape.nodes),
        ]);
        self.with_data(&mut service, self.dir);
        Ok(service)
    }

    pub(crate) fn node(&self, number: u16, placement: &str) -> anyhow::Result<Service> {
        let name = format!("node-{number}");
        let mut service = self.service(name, "ringkv-storage-node", loopback()?)?;
        service.args.push(format!("--placement={placement}"));
        service.args.extend(self.shape.node_flags.iter().cloned());
        let zone = self.shape.zones.get(usize::from(number) - 1);
        service.args.extend(zone.map(|zone| format!("--zone={zone}")));
        self.with_data(&mut service, self.shape.node_data.as_deref().unwrap_or(self.dir));
        Ok(service)
    }

    pub(crate) fn gateway(&self, number: u16, placement: &str) -> anyhow::Result<Service> {
        let address = loopback()?;
        let name = format!("gateway-{number}");
        Ok(Service {
            metrics: address.clone(),
            admin: String::new(),
            data: PathBuf::new(),
            binary: "ringkv-gateway",
            args: [format!("--listen={address}"), format!("--placement={placement}")]
                .into_iter()
                .chain(self.shape.flags.iter().cloned())
                .collect(),
            environment: self.shape.environment.clone(),
            log: self.dir.join(format!("{name}.log")),
            process: None,
            name,
            address,
        })
    }

    fn service(
        &self,
        name: String,
        binary: &'static str,
        address: String,
    ) -> anyhow::Result<Service> {
        let metrics = loopback()?;
        Ok(Service {
            args: [
                format!("--listen={address}"),
                format!("--advertise={address}"),
                format!("--metrics-listen={metrics}"),
            ]
            .into_iter()
            .chain(self.shape.flags.iter().cloned())
            .collect(),
            environment: self.shape.environment.clone(),
            admin: String::new(),
            data: PathBuf::new(),
            log: self.dir.join(format!("{name}.log")),
            process: None,
            name,
            address,
            metrics,
            binary,
        })
    }

    fn with_data(&self, service: &mut Service, root: &Path) {
        service.data = root.join(&service.name);
        service.args.push(format!("--data-dir={}", service.data.display()));
    }
}

/// A free address.
pub(crate) fn loopback() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
