use ringkv_client::OperationState;
use ringkv_client::admin::PlacementReplica;
use ringkv_topology::RuntimeSettings;

use super::*;

fn node(id: u64, silent_s: u64) -> NodeStatus {
    NodeStatus {
        id,
        address: format!("n{id}:1"),
        zone: String::new(),
        state: NodeState::Active,
        silent: Some(Duration::from_secs(silent_s)),
        replicas: 4,
        leads: 2,
    }
}

fn well() -> ClusterStatus {
    ClusterStatus {
        cluster: 77,
        epoch: 5,
        bootstrapped: true,
        replication_factor: 3,
        settings: RuntimeSettings::default(),
        nodes: (1..=3).map(|id| node(id, 0)).collect(),
        groups: 4,
        groups_without_leader: Vec::new(),
        under_replicated_groups: Vec::new(),
        operations: Vec::new(),
        blocked_by: Vec::new(),
        placement: vec![PlacementReplica {
            id: 1,
            address: "p1:7000".into(),
            votes: true,
            alive: true,
            leads: true,
        }],
    }
}

fn drain(blocked_by: &[&str]) -> Operation {
    Operation {
        id: 7,
        kind: "node_drain".into(),
        title: "drain of node 3".into(),
        nodes: vec![3],
        cause: "requested".into(),
        state: OperationState::Running,
        began_ms: 1,
        ended_ms: None,
        done_steps: 1,
        total_steps: 4,
        done_bytes: 0,
        total_bytes: 0,
        bytes_per_s: None,
        seconds_left: None,
        blocked_by: blocked_by.iter().map(|&reason| reason.into()).collect(),
    }
}

#[test]
fn a_cluster_that_is_well_is_one_short_screen() {
    let report = Report::of(&well());
    assert_eq!(report.problems, []);
    let expected = "\
cluster 77, epoch 5: all is well

nodes       3 alive, 0 silent, 0 draining, of 3
groups      4: 0 without a leader, 0 with fewer than 3 live replicas
placement   1 of 1 replicas alive, leader p1:7000
operations  none is running
";
    assert_eq!(report.text(), expected);
}

#[test]
fn a_silent_node_is_named_with_when_it_is_replaced() {
    let mut status = well();
    status.nodes[2] = node(3, 40);
    status.under_replicated_groups = (1..=12).collect();
    let report = Report::of(&status);
    let text = report.text();
    assert!(text.contains("epoch 5: NOT WELL\n"), "{text}");
    assert!(text.contains("! node 3 (n3:1) is silent for 40 s\n"), "{text}");
    assert!(text.contains("replaced in 4 min 20 s, or now with `ringkv node drain 3`"), "{text}");
    assert!(text.contains("groups 1, 2, 3, 4, 5, 6, 7, 8 and 4 more\n"), "{text}");
    assert_eq!(report.problems.len(), 2);
    status.nodes[2] = node(3, 301);
    assert!(Report::of(&status).text().contains("are being replaced: `ringkv operation list`"));
    status.nodes[2].state = NodeState::Draining;
    assert!(Report::of(&status).text().contains("move away without it: `ringkv operation list`"));
}

#[test]
fn a_drained_node_may_be_gone_and_a_new_leader_judges_nothing() {
    let mut status = well();
    status.nodes[2] = NodeStatus { replicas: 0, state: NodeState::Draining, ..node(3, 4_000) };
    status.nodes[1].silent = None;
    let report = Report::of(&status);
    assert_eq!(report.problems, []);
    assert!(report.text().contains("1 not heard from yet by placement's new leader"));
}

#[test]
fn an_operation_that_goes_on_is_well_and_a_blocked_one_is_not() {
    let mut status = well();
    status.operations = vec![drain(&[])];
    let report = Report::of(&status);
    assert_eq!(report.problems, []);
    assert!(report.text().contains("running     operation 7 (drain of node 3): running, 1 of 4"));
    status.operations = vec![drain(&["3 nodes are needed for 3 replicas, 2 are left"])];
    let [problem] = &Report::of(&status).problems[..] else { panic!("one problem") };
    assert!(problem.what.ends_with("is blocked: 3 nodes are needed for 3 replicas, 2 are left"));
    assert!(problem.next.contains("`ringkv operation show 7`"));
}

#[test]
fn a_silent_placement_replica_and_a_missing_bootstrap_are_problems() {
    let mut status = well();
    status.placement[0].alive = false;
    status.bootstrapped = false;
    status.blocked_by = vec!["2 of 3 nodes are registered and alive".into()];
    let problems = Report::of(&status).problems;
    assert_eq!(problems.len(), 2);
    assert!(problems[0].what.contains("2 of 3 nodes are registered"));
    assert!(problems[1].next.contains("`ringkv placement remove 1`"));
}
