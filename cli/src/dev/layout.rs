//! Pure. How many nodes and copies a dev cluster has, and the ports it had last time.
//!
//! What the data directory remembers wins over defaults, and flags that contradict it are refused:
//! fewer nodes would leave groups without a quorum, and the number of copies is fixed when the
//! cluster is created.

use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};

/// Where placement listens in a new dev cluster.
const PLACEMENT_PORT: u16 = 7000;
/// Node `n` (from 1) listens on this plus `n`.
const NODE_PORT_BASE: u16 = 50_050;
/// Node `n` (from 1) serves its metrics on this plus `n`.
const METRICS_PORT_BASE: u16 = 9_089;
const NODES_DEFAULT: u16 = 3;
const REPLICAS_DEFAULT: u16 = 3;

/// Version of the remembered form; another one refuses.
pub(crate) const LAYOUT_FORMAT: u32 = 1;

/// The shape of one dev cluster, as decided and as remembered in its data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub format: u32,
    pub replicas: u16,
    /// Nodes that took part when the cluster formed.
    pub nodes_formed: u16,
    /// The ports to try first: those of the last run, if there was one.
    pub placement_port: u16,
    /// One entry a node, in the order of the nodes.
    pub nodes: Vec<NodePorts>,
}

/// The ports of one storage node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodePorts {
    pub grpc: u16,
    pub metrics: u16,
}

impl Layout {
    /// Combines the user's flags with what the data directory remembers.
    ///
    /// # Errors
    /// The numbers do not fit each other or the remembered cluster.
    pub(crate) fn decide(
        nodes: Option<u16>,
        replicas: Option<u16>,
        remembered: Option<Self>,
    ) -> Result<Self, Failure> {
        match remembered {
            Some(remembered) => remembered.grown(nodes, replicas),
            None => Self::new(nodes.unwrap_or(NODES_DEFAULT), replicas),
        }
    }

    fn new(nodes: u16, replicas: Option<u16>) -> Result<Self, Failure> {
        let replicas_default = if nodes < REPLICAS_DEFAULT { 1 } else { REPLICAS_DEFAULT };
        let replicas = replicas.unwrap_or(replicas_default);
        if !matches!(replicas, 1 | 3 | 5) {
            return Err(refused(format!("--replicas {replicas} is not 1, 3 or 5")));
        }
        if replicas > nodes {
            return Err(refused(format!(
                "--replicas {replicas} needs at least {replicas} nodes, but --nodes is {nodes}"
            )));
        }
        Ok(Self {
            format: LAYOUT_FORMAT,
            replicas,
            nodes_formed: nodes,
            placement_port: PLACEMENT_PORT,
            nodes: (1..=nodes).map(NodePorts::usual).collect(),
        })
    }

    fn grown(mut self, nodes: Option<u16>, replicas: Option<u16>) -> Result<Self, Failure> {
        let had = u16::try_from(self.nodes.len()).unwrap_or(u16::MAX);
        if let Some(replicas) = replicas.filter(|replicas| *replicas != self.replicas) {
            return Err(refused(format!(
                "--replicas {replicas}: this data directory was created with {}",
                self.replicas
            )));
        }
        let nodes = nodes.unwrap_or(had);
        if nodes < had {
            return Err(refused(format!("--nodes {nodes}: this data directory has {had} nodes")));
        }
        self.nodes.extend((had + 1..=nodes).map(NodePorts::usual));
        Ok(self)
    }

    /// The same layout with the ports that were bound, to be remembered.
    pub(crate) fn with_ports(&self, placement_port: u16, nodes: Vec<NodePorts>) -> Self {
        Self { placement_port, nodes, ..self.clone() }
    }
}

impl NodePorts {
    fn usual(number: u16) -> Self {
        Self { grpc: NODE_PORT_BASE + number, metrics: METRICS_PORT_BASE + number }
    }
}

fn refused(happened: String) -> Failure {
    Failure::new(Exit::Usage, happened, "leave the flag out, or use another --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_with_three_copies_on_the_documented_ports() {
        let layout = Layout::decide(None, None, None).expect("defaults");
        assert_eq!((layout.nodes.len(), layout.replicas), (3, 3));
        assert_eq!(layout.nodes[0], NodePorts { grpc: 50_051, metrics: 9_090 });
        assert_eq!(layout.nodes[2], NodePorts { grpc: 50_053, metrics: 9_092 });
    }

    #[test]
    fn one_node_has_one_copy_unless_told_otherwise() {
        assert_eq!(Layout::decide(Some(1), None, None).expect("one node").replicas, 1);
        assert!(Layout::decide(Some(1), Some(3), None).is_err());
    }

    #[test]
    fn copies_are_one_three_or_five() {
        assert!(Layout::decide(Some(5), Some(4), None).is_err());
        assert!(Layout::decide(Some(5), Some(5), None).is_ok());
    }

    #[test]
    fn remembered_cluster_keeps_its_numbers_and_ports() {
        let mut remembered = Layout::new(5, Some(5)).expect("valid");
        remembered.nodes[3].grpc = 40_000;
        let again = Layout::decide(None, None, Some(remembered.clone())).expect("same again");
        assert_eq!(again, remembered);
    }

    #[test]
    fn remembered_cluster_grows_but_never_shrinks_or_changes_copies() {
        let remembered = Layout::new(3, None).expect("valid");
        let grown = Layout::decide(Some(4), None, Some(remembered.clone())).expect("growth");
        assert_eq!((grown.nodes.len(), grown.nodes_formed), (4, 3));
        assert!(Layout::decide(Some(2), None, Some(remembered.clone())).is_err());
        assert!(Layout::decide(None, Some(1), Some(remembered)).is_err());
    }
}
