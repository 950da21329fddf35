//! Placement and ring: who decides, which nodes it knows, and how even the ring is.

use super::shared::{EPOCHS_APART, PLACEMENT_LEADS, SILENT_NODES};
use super::{OVERVIEW, PLACEMENT, RAFT};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: PLACEMENT,
        title: "ringkv placement and ring",
        about: "The placement service, the nodes it knows, and how slots spread over them.",
        variables: &[],
        rows: vec![service(), changes(), nodes(), ring(), group(), process()],
    }
}

fn service() -> Row {
    Row {
        title: "The service",
        panels: vec![
            Panel::new(
                Shape::Stat,
                "Replicas up",
                Unit::Count,
                "Placement replicas that Prometheus can scrape.",
            )
            .query("sum(up{job=\"ringkv-placement\"})", "replicas")
            .bad_below(1.0),
            Panel::new(Shape::Stat, "Has a leader", Unit::YesNo, "Whether any replica knows one.")
                .query(PLACEMENT_LEADS, "leader")
                .bad_below(1.0),
            Panel::new(
                Shape::Stat,
                "Cluster is formed",
                Unit::YesNo,
                "Groups exist: before that no key has a place.",
            )
            .query("max(ringkv_placement_formed)", "formed")
            .bad_below(1.0),
            Panel::new(Shape::Stat, "Groups", Unit::Count, "Raft groups that share the slots.")
                .query("max(ringkv_placement_groups)", "groups")
                .see(RAFT),
            Panel::new(
                Shape::Stat,
                "Nodes silent",
                Unit::Count,
                "Nodes from which the leader has heard nothing for 5 s.",
            )
            .query(SILENT_NODES, "nodes")
            .bad(1.0),
            Panel::new(
                Shape::Stat,
                "Groups with a replica missing",
                Unit::Count,
                "Groups with a replica on a node that is silent or was replaced.",
            )
            .query("max(ringkv_placement_groups_under_replicated)", "groups")
            .warn(1.0),
        ],
    }
}

fn changes() -> Row {
    Row {
        title: "Changes of the cluster",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Operations running",
                Unit::Count,
                "Drains, repairs, a new node's share: `ringkv operation list` names them.",
            )
            .query("max(ringkv_placement_operations_running)", "operations")
            .query("max(ringkv_placement_moves_running)", "replicas that join"),
            Panel::new(
                Shape::Time,
                "What blocks them",
                Unit::Count,
                "Reasons why a planned change cannot go on.",
            )
            .query("max(ringkv_placement_blocked)", "reasons")
            .warn(1.0),
            Panel::new(
                Shape::Time,
                "Replicas to repair",
                Unit::Count,
                "Groups without all their live replicas, and replicas on nodes silent for longer \
                 than replace-after.",
            )
            .query("max(ringkv_placement_groups_under_replicated)", "groups")
            .query("max(ringkv_placement_replicas_lost)", "lost replicas")
            .warn(1.0),
            Panel::new(
                Shape::Time,
                "Snapshots sent",
                Unit::BytesPerSecond,
                "All nodes together; snapshot-rate bounds it for each node.",
            )
            .query(
                "sum(rate(ringkv_snapshot_bytes_total{direction=\"sent\"}[$__rate_interval]))",
                "sent",
            )
            .see(RAFT),
            Panel::new(
                Shape::Time,
                "Registrations refused",
                Unit::PerSecond,
                "Storage nodes that placement turned away. `served-elsewhere`: two processes with \
                 one identity.",
            )
            .query(
                "sum by (reason) (rate(ringkv_placement_registrations_refused_total\
                     [$__rate_interval]))",
                "{{reason}}",
            ),
            Panel::new(
                Shape::Time,
                "Placement's own replicas",
                Unit::Count,
                "Those that vote, and of these the ones that its leader does not hear from.",
            )
            .query("max by (state) (ringkv_placement_members)", "{{state}}"),
        ],
    }
}

fn nodes() -> Row {
    Row {
        title: "Nodes",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Storage nodes by state",
                Unit::Count,
                "As the leader knows them.",
            )
            .query("max by (state) (ringkv_placement_nodes)", "{{state}}"),
            Panel::new(
                Shape::Time,
                "Heartbeats",
                Unit::PerSecond,
                "From storage nodes to the replicas. They stop when nodes cannot reach placement.",
            )
            .query(
                "sum by (instance) (rate(ringkv_placement_heartbeats_total\
                     [$__rate_interval]))",
                "{{instance}}",
            ),
            Panel::new(
                Shape::Time,
                "Watchers of the topology",
                Unit::Count,
                "Gateways and nodes that receive each change.",
            )
            .query("ringkv_placement_watchers", "{{instance}}"),
        ],
    }
}

fn ring() -> Row {
    Row {
        title: "The ring",
        panels: vec![
            Panel::new(
                Shape::Bars,
                "Share of the slots' replicas",
                Unit::Ratio,
                "Part of all replicas of slots on each node; even when capacities are.",
            )
            .query("max by (node) (ringkv_ring_share_ratio)", "node {{node}}"),
            Panel::new(
                Shape::Bars,
                "Slots by preferred leader",
                Unit::Count,
                "Slots of the groups that each node would lead with everything up.",
            )
            .query("max by (node) (ringkv_ring_slots)", "node {{node}}"),
            Panel::new(
                Shape::Bars,
                "Replicas by zone",
                Unit::Count,
                "Replicas of groups in each zone: a zone that is lost takes so many with it.",
            )
            .query("max by (zone) (ringkv_placement_zone_replicas)", "{{zone}}"),
            Panel::new(
                Shape::Time,
                "Epoch by component",
                Unit::Count,
                "The number of the topology in use; all the same but for the moment of a change.",
            )
            .query("min by (component) (ringkv_ring_epoch)", "{{component}}")
            .wide(12),
            Panel::new(
                Shape::Time,
                "Epochs apart",
                Unit::Count,
                "Between the newest and the oldest topology in use anywhere.",
            )
            .query(EPOCHS_APART, "apart")
            .warn(1.0)
            .wide(12),
        ],
    }
}

fn group() -> Row {
    Row {
        title: "Its own Raft group",
        panels: vec![
            Panel::new(Shape::Time, "Who leads", Unit::YesNo, "One replica at a time.")
                .query("ringkv_placement_is_leader", "{{instance}}"),
            Panel::new(Shape::Time, "Term", Unit::Count, "Rises with each election.")
                .query("max by (instance) (raft_term{job=\"ringkv-placement\"})", "{{instance}}"),
            Panel::new(
                Shape::Time,
                "Entries in the log",
                Unit::Count,
                "Small: a change of shape is an entry, a heartbeat is not.",
            )
            .query("max by (instance) (raft_log_size{job=\"ringkv-placement\"})", "{{instance}}"),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process",
        panels: vec![
            Panel::new(Shape::Time, "CPU", Unit::Count, "Processor cores each replica keeps busy.")
                .query(
                    "rate(process_cpu_seconds_total{job=\"ringkv-placement\"}\
                     [$__rate_interval])",
                    "{{instance}}",
                )
                .see(OVERVIEW),
            Panel::new(Shape::Time, "Memory", Unit::Bytes, "Resident memory of each replica.")
                .query("process_resident_memory_bytes{job=\"ringkv-placement\"}", "{{instance}}"),
            Panel::new(
                Shape::Time,
                "Ready",
                Unit::YesNo,
                "Whether /readyz says yes: the replica knows a leader.",
            )
            .query("ringkv_ready{job=\"ringkv-placement\"}", "{{instance}}"),
        ],
    }
}
