//! The gateway's `/topology` as the commands show it.
//!
//! Owns the part of that JSON the commands read, and the tables. Unknown members are ignored, so
//! that an older command works with a newer gateway.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

/// One version of the cluster's shape.
#[derive(Debug, Deserialize)]
pub(crate) struct TopologyView {
    pub cluster: String,
    pub epoch: u64,
    pub nodes: Vec<NodeView>,
    pub groups: Vec<GroupView>,
}

/// A storage node.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeView {
    pub id: u64,
    pub address: String,
    pub zone: String,
    pub state: String,
    /// Whether it reported to placement lately.
    pub alive: bool,
}

/// A group, its replicas and its leader as far as known.
#[derive(Debug, Deserialize)]
pub(crate) struct GroupView {
    pub id: u64,
    pub leader: Option<u64>,
    pub replicas: Vec<ReplicaView>,
    pub slots: u32,
}

/// A group's copy on a node.
#[derive(Debug, Deserialize)]
pub(crate) struct ReplicaView {
    pub node: u64,
}

impl TopologyView {
    /// Nodes with what they hold and lead, one line each.
    pub(crate) fn node_table(&self) -> String {
        let mut replicas = BTreeMap::<u64, usize>::new();
        let mut leaders = BTreeMap::<u64, usize>::new();
        for group in &self.groups {
            for replica in &group.replicas {
                *replicas.entry(replica.node).or_default() += 1;
            }
            if let Some(leader) = group.leader {
                *leaders.entry(leader).or_default() += 1;
            }
        }
        let mut rows = vec![
            ["NODE", "ADDRESS", "ZONE", "STATE", "ALIVE", "REPLICAS", "LEADS"].map(str::to_owned),
        ];
        rows.extend(self.nodes.iter().map(|node| {
            let of = |counts: &BTreeMap<u64, usize>| {
                counts.get(&node.id).copied().unwrap_or_default().to_string()
            };
            let zone = if node.zone.is_empty() { "-" } else { &node.zone };
            [
                node.id.to_string(),
                node.address.clone(),
                zone.to_owned(),
                node.state.clone(),
                if node.alive { "yes" } else { "no" }.to_owned(),
                of(&replicas),
                of(&leaders),
            ]
        }));
        table(&rows)
    }

    /// The whole: a headline, the nodes, the groups.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![["GROUP", "SLOTS", "LEADER", "NODES"].map(str::to_owned)];
        rows.extend(self.groups.iter().map(|group| {
            let nodes: Vec<_> =
                group.replicas.iter().map(|replica| replica.node.to_string()).collect();
            [
                group.id.to_string(),
                group.slots.to_string(),
                group.leader.map_or_else(|| "-".to_owned(), |leader| leader.to_string()),
                nodes.join(" "),
            ]
        }));
        format!(
            "cluster {}, epoch {}\n\n{}\n{}",
            self.cluster,
            self.epoch,
            self.node_table(),
            table(&rows)
        )
    }
}

/// Rows as lines with aligned columns; the first row is the heading.
pub(crate) fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: &str = r#"{
        "cluster": "77", "epoch": 5, "later": true,
        "nodes": [
            {"id": 1, "address": "127.0.0.1:50051", "zone": "", "state": "active", "alive": true},
            {"id": 12, "address": "10.0.0.2:50051", "zone": "b", "state": "active", "alive": false}
        ],
        "groups": [
            {"id": 1, "leader": 1, "slots": 2048, "replicas": [{"node": 1}, {"node": 12}]},
            {"id": 2, "leader": null, "slots": 2048, "replicas": [{"node": 1}, {"node": 12}]}
        ]
    }"#;

    #[test]
    fn nodes_are_shown_with_what_they_hold_and_lead() {
        let view: TopologyView = serde_json::from_str(TOPOLOGY).expect("valid");
        assert_eq!(
            view.node_table(),
            "NODE  ADDRESS          ZONE  STATE   ALIVE  REPLICAS  LEADS\n\
             1     127.0.0.1:50051  -     active  yes    2         1\n\
             12    10.0.0.2:50051   b     active  no     2         0\n"
        );
    }

    #[test]
    fn a_group_without_a_known_leader_is_shown_so() {
        let view: TopologyView = serde_json::from_str(TOPOLOGY).expect("valid");
        let text = view.text();
        assert!(text.starts_with("cluster 77, epoch 5\n"), "{text}");
        assert!(text.contains("\n2      2048   -       1 12\n"), "{text}");
    }
}
