//! What a cluster consists of.

use std::path::PathBuf;

/// The parts of a cluster.
#[derive(Clone, Debug)]
pub struct Shape {
    pub placement: u16,
    pub nodes: u16,
    pub gateways: u16,
    pub replication_factor: u16,
    /// Further flags of every service.
    pub flags: Vec<String>,
    /// Further flags of every storage node.
    pub node_flags: Vec<String>,
    /// The zone of each storage node, in order; none for those beyond the list.
    pub zones: Vec<String>,
    /// The environment of every service.
    pub environment: Vec<(&'static str, String)>,
    /// The folder of the nodes' data, if it is not the cluster's temporary directory.
    pub node_data: Option<PathBuf>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            placement: 1,
            nodes: 3,
            gateways: 2,
            replication_factor: 3,
            flags: Vec::new(),
            node_flags: Vec::new(),
            zones: Vec::new(),
            environment: Vec::new(),
            node_data: None,
        }
    }
}
