//! Requests of storage nodes, checked field by field.
//!
//! Owns the limits of what a node may report about itself. A request that fails a check never reaches
//! the log: what is in the log is applied by every replica, and must not be refused there.

mod reports;

use ringkv_proto::v1::{HeartbeatRequest, RegisterRequest};
use ringkv_topology::{ClusterId, Epoch, NodeId, NodeSecret};

use crate::command::{Claim, Registration, Sender};
use crate::observations::GroupReport;

/// The longest host name (253) with a port.
const ADDRESS_BYTES_MAX: usize = 259;
const ZONE_CHARS_MAX: usize = 64;
const CAPACITY_DEFAULT: u32 = 100;
const CAPACITY_MAX: u32 = 1_000;

/// A request with an invalid field: the field and the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequest(String);

/// A heartbeat that names its sender.
#[derive(Debug)]
pub struct Heartbeat {
    pub sender: Sender,
    /// Of the topology that the node knows.
    pub epoch: Epoch,
    pub reports: Vec<GroupReport>,
}

/// Checks a registration.
///
/// # Errors
/// [`InvalidRequest`] names the field.
pub fn registration(wire: RegisterRequest) -> Result<Registration, InvalidRequest> {
    let claim = match (ClusterId::from_wire(wire.cluster), NodeId::from_wire(wire.node)) {
        (Some(cluster), Some(node)) => Some(Claim { cluster, node, secret: secret(&wire.secret)? }),
        (None, None) if !wire.secret.is_empty() => {
            return invalid("secret: a node without cluster and node has none");
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return invalid("cluster and node: set both, or neither for a new node");
        }
    };
    if !is_host_port(&wire.address) {
        return invalid(format!("address: `{}` is not host:port", wire.address.escape_debug()));
    }
    if wire.zone.chars().count() > ZONE_CHARS_MAX {
        return invalid(format!("zone: longer than {ZONE_CHARS_MAX} characters"));
    }
    let capacity = if wire.capacity == 0 { CAPACITY_DEFAULT } else { wire.capacity };
    if capacity > CAPACITY_MAX {
        return invalid(format!("capacity: {capacity} is out of range: 1 to {CAPACITY_MAX}"));
    }
    if wire.incarnation == 0 {
        return invalid("incarnation: 0 is not allowed; draw a random number at every start");
    }
    if wire.starts == 0 {
        return invalid("starts: 0 is not allowed; the first start is number 1");
    }
    let directory = Some(wire.directory).filter(|number| *number != 0);
    let RegisterRequest { address, zone, incarnation, starts, .. } = wire;
    Ok(Registration { claim, address, zone, capacity, incarnation, starts, directory })
}

/// Checks a heartbeat.
///
/// # Errors
/// [`InvalidRequest`] names the field.
pub fn heartbeat(wire: &HeartbeatRequest) -> Result<Heartbeat, InvalidRequest> {
    let Some(cluster) = ClusterId::from_wire(wire.cluster) else {
        return invalid("cluster: 0 is not an id");
    };
    let Some(node) = NodeId::from_wire(wire.node) else { return invalid("node: 0 is not an id") };
    let reports = reports::reports(&wire.groups)?;
    let claim = Claim { cluster, node, secret: secret(&wire.secret)? };
    let sender = Sender { claim, incarnation: wire.incarnation, address: wire.address.clone() };
    Ok(Heartbeat { sender, epoch: Epoch(wire.epoch), reports })
}

fn secret(bytes: &[u8]) -> Result<NodeSecret, InvalidRequest> {
    let problem = || InvalidRequest("secret: not the 16 bytes of the first registration".into());
    NodeSecret::from_wire(bytes).ok_or_else(problem)
}

/// Whether an address is `host:port` and fits where addresses are shown.
pub fn is_host_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let is_printable = address.bytes().all(|byte| byte.is_ascii_graphic());
    address.len() <= ADDRESS_BYTES_MAX
        && is_printable
        && !host.is_empty()
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn invalid<T>(problem: impl Into<String>) -> Result<T, InvalidRequest> {
    Err(InvalidRequest(problem.into()))
}

#[cfg(test)]
mod tests {
    use ringkv_proto::v1;
    use ringkv_topology::GroupId;

    use super::*;

    fn valid() -> RegisterRequest {
        let address = "node-1:50051".into();
        RegisterRequest { address, incarnation: 7, starts: 1, ..Default::default() }
    }

    #[test]
    fn a_new_node_may_omit_its_capacity() {
        let registration = registration(valid()).unwrap();
        assert_eq!((registration.claim, registration.capacity), (None, 100));
    }

    #[test]
    fn a_bad_field_is_named() {
        type Break = fn(&mut RegisterRequest);
        let cases: [(&str, Break); 14] = [
            ("cluster and node", |r| r.node = 1),
            ("cluster and node", |r| r.cluster = 1),
            ("address", |r| r.address.clear()),
            ("address", |r| r.address = "node-1".into()),
            ("address", |r| r.address = ":50051".into()),
            ("address", |r| r.address = "node-1:0".into()),
            ("address", |r| r.address = "node\n1:50051".into()),
            ("zone", |r| r.zone = "z".repeat(65)),
            ("capacity", |r| r.capacity = 1_001),
            ("incarnation", |r| r.incarnation = 0),
            ("starts", |r| r.starts = 0),
            ("secret", |r| r.secret = vec![1; 16].into()),
            ("secret", |r| (r.cluster, r.node) = (1, 1)),
            ("secret", |r| (r.cluster, r.node, r.secret) = (1, 1, vec![1; 15].into())),
        ];
        for (field, breaks) in cases {
            let mut wire = valid();
            breaks(&mut wire);
            let problem = registration(wire).unwrap_err().to_string();
            assert!(problem.starts_with(field), "{problem}");
        }
    }

    #[test]
    fn a_heartbeat_names_its_cluster_node_and_groups() {
        let group = v1::GroupReport { group: 4, leader: true, ..Default::default() };
        let wire = HeartbeatRequest {
            cluster: 9,
            node: 2,
            secret: vec![7; 16].into(),
            groups: vec![group],
            ..Default::default()
        };
        assert_eq!(heartbeat(&wire).unwrap().reports[0].group, GroupId(4));
        for (field, broken) in [
            ("cluster", HeartbeatRequest { cluster: 0, ..wire.clone() }),
            ("node", HeartbeatRequest { node: 0, ..wire.clone() }),
            ("secret", HeartbeatRequest { secret: vec![7; 17].into(), ..wire.clone() }),
            ("groups.group", HeartbeatRequest { groups: vec![Default::default()], ..wire.clone() }),
        ] {
            let problem = heartbeat(&broken).unwrap_err().to_string();
            assert!(problem.starts_with(field), "{problem}");
        }
    }
}
