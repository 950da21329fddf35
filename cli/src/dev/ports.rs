//! The listeners of a dev cluster: the preferred ports, or free ones if those are taken.
//!
//! All ports are bound before any service starts, so that the addresses in the settings are
//! certainly the cluster's own.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use crate::dev::layout::{Layout, NodePorts};

/// A bound listener, and the address that was preferred.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    wished: SocketAddr,
    purpose: String,
}

/// The listeners of a placement replica or a storage node.
pub(crate) struct ServiceListeners {
    pub grpc: Listener,
    pub metrics: Listener,
    /// For operators.
    pub admin: Listener,
}

/// All listeners of a dev cluster.
pub(crate) struct Bound {
    pub gateway: Listener,
    pub placement: ServiceListeners,
    pub nodes: Vec<ServiceListeners>,
}

impl Bound {
    /// Binds everything on loopback, except for the gateway's own address.
    ///
    /// # Errors
    /// Neither the preferred nor any other port of an address can be bound.
    pub(crate) fn bind(gateway: SocketAddr, layout: &Layout) -> std::io::Result<Self> {
        let gateway = Listener::bind(gateway, "gateway".to_owned())?;
        let placement = ServiceListeners {
            grpc: Listener::bind(loopback(layout.placement_port), "placement".to_owned())?,
            // No other service needs to know this port: any free one will do.
            metrics: Listener::bind(loopback(0), "placement metrics".to_owned())?,
            admin: Listener::bind(placement_admin(), "placement's admin listener".to_owned())?,
        };
        let nodes = (1..)
            .zip(&layout.nodes)
            .map(|(number, ports)| {
                Ok(ServiceListeners {
                    grpc: Listener::bind(loopback(ports.grpc), format!("node {number}"))?,
                    metrics: Listener::bind(
                        loopback(ports.metrics),
                        format!("node {number} metrics"),
                    )?,
                    // `ringkv node stop` asks the node for this port.
                    admin: Listener::bind(loopback(0), format!("node {number} admin"))?,
                })
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { gateway, placement, nodes })
    }

    /// The ports of each storage node, in the order of the nodes.
    pub(crate) fn node_ports(&self) -> Vec<NodePorts> {
        let ports = |node: &ServiceListeners| NodePorts {
            grpc: node.grpc.port(),
            metrics: node.metrics.port(),
        };
        self.nodes.iter().map(ports).collect()
    }

    /// One sentence for each port that was taken.
    pub(crate) fn moved(&self) -> Vec<String> {
        let services = std::iter::once(&self.placement).chain(&self.nodes);
        std::iter::once(&self.gateway)
            .chain(services.flat_map(|service| [&service.grpc, &service.metrics, &service.admin]))
            .filter_map(Listener::moved)
            .collect()
    }
}

impl Listener {
    fn bind(wished: SocketAddr, purpose: String) -> std::io::Result<Self> {
        let socket = match TcpListener::bind(wished) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(wished.ip(), 0))
            }
            other => other,
        }
        .map_err(|error| {
            std::io::Error::new(error.kind(), format!("{purpose}, {wished}: {error}"))
        })?;
        // As tokio, which will accept on it, wants it.
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, wished, purpose })
    }

    /// The port it is bound to.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address it is bound to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket, for the service that accepts on it.
    pub(crate) fn into_socket(self) -> TcpListener {
        self.socket
    }

    fn moved(&self) -> Option<String> {
        let moved = self.wished.port() != 0 && self.wished != self.address;
        moved.then(|| {
            format!(
                "{}: port {} is taken, using {}",
                self.purpose,
                self.wished.port(),
                self.address
            )
        })
    }
}

/// Where the commands for operators look for placement.
fn placement_admin() -> SocketAddr {
    ringkv_placement::ADMIN_LISTEN.parse().expect("the default is an address")
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_port_is_replaced_and_named() {
        let taken = TcpListener::bind(loopback(0)).expect("a free port");
        let wished = taken.local_addr().expect("bound");
        let listener = Listener::bind(wished, "gateway".to_owned()).expect("another port");
        assert_ne!(listener.port(), wished.port());
        let said = listener.moved().expect("it moved");
        assert!(said.contains(&wished.port().to_string()), "{said}");
        assert!(said.contains(&listener.address().to_string()), "{said}");
    }

    #[test]
    fn free_port_is_taken_as_wished_and_not_spoken_of() {
        let wished = TcpListener::bind(loopback(0)).and_then(|l| l.local_addr()).expect("free");
        let listener = Listener::bind(wished, "node 1".to_owned()).expect("as wished");
        assert_eq!(listener.address(), wished);
        assert_eq!(listener.moved(), None);
    }
}
