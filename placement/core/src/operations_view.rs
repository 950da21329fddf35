//! The operations on the wire, with what only the leader knows of them.

use ringkv_proto::v1;

use crate::operation::{Operation, OperationKind, OperationState};
use crate::progress::{Pace, Progress};
use crate::state::State;

/// All operations; `progress` is `None` on a replica that does not lead.
pub fn reply(state: &State, progress: Option<&Progress>) -> v1::ListOperationsReply {
    let operations = state.operations();
    let unseen = Progress::default();
    let seen = progress.unwrap_or(&unseen);
    v1::ListOperationsReply {
        operations: operations.into_iter().map(|one| operation(one, seen)).collect(),
        from_leader: progress.is_some(),
    }
}

/// One operation.
pub(crate) fn operation(operation: &Operation, progress: &Progress) -> v1::Operation {
    let is_running = operation.state == OperationState::Running;
    let pace = if is_running { progress.pace(operation) } else { Pace::default() };
    let (kind, nodes) = kind(&operation.kind);
    let state = match operation.state {
        OperationState::Running => v1::OperationState::Running,
        OperationState::Done => v1::OperationState::Done,
        OperationState::Aborted => v1::OperationState::Aborted,
    };
    v1::Operation {
        id: operation.id.0,
        kind: kind.to_owned(),
        title: operation.kind.to_string(),
        nodes,
        cause: operation.cause.clone(),
        state: state.into(),
        began_ms: operation.began_ms,
        ended_ms: operation.ended_ms,
        done_steps: operation.done_steps,
        total_steps: operation.total_steps,
        done_bytes: operation.done_bytes,
        total_bytes: operation.total_bytes,
        bytes_per_s: pace.bytes_per_s,
        seconds_left: pace.seconds_left,
        blocked_by: if is_running { blockers(operation, progress) } else { Vec::new() },
    }
}

/// What blocks an operation, without its own title.
fn blockers(operation: &Operation, progress: &Progress) -> Vec<String> {
    let title = format!("{}: ", operation.kind);
    let reasons = progress.blockers(Some(operation.id));
    reasons.map(|reason| reason.strip_prefix(&title).unwrap_or(reason).to_owned()).collect()
}

/// The name of a kind on the wire, and the nodes that it is about.
fn kind(kind: &OperationKind) -> (&'static str, Vec<u64>) {
    match kind {
        OperationKind::Bootstrap => ("bootstrap", Vec::new()),
        OperationKind::NodeJoined { node } => ("node_join", vec![node.0]),
        OperationKind::NodeDrain { node } => ("node_drain", vec![node.0]),
        OperationKind::NodeReplace { old, new } => ("node_replace", vec![old.0, new.0]),
        OperationKind::NodeLost { node } => ("node_loss", vec![node.0]),
        OperationKind::Rebalance => ("rebalance", Vec::new()),
        OperationKind::SettingsSet { .. } => ("setting", Vec::new()),
        OperationKind::PlacementMember { member, joins: true } => {
            ("placement_join", vec![member.0])
        }
        OperationKind::PlacementMember { member, joins: false } => {
            ("placement_leave", vec![member.0])
        }
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::NodeId;

    use super::*;
    use crate::operation::OperationId;
    use crate::reconciler::Blocker;

    #[test]
    fn an_operation_is_shown_with_what_the_leader_knows_of_it() {
        let drain = Operation {
            id: OperationId(7),
            kind: OperationKind::NodeReplace { old: NodeId(3), new: NodeId(4) },
            cause: "requested".into(),
            state: OperationState::Running,
            began_ms: 5,
            ended_ms: 0,
            total_steps: 20,
            done_steps: 2,
            total_bytes: 30,
            done_bytes: 20,
        };
        let mut progress = Progress::default();
        let blocker = Blocker { operation: Some(OperationId(7)), reason: "no room".into() };
        progress.look(0, &[&drain], vec![blocker]);
        progress.look(9_000, &[&Operation { done_steps: 11, ..drain.clone() }], Vec::new());
        let shown = operation(&Operation { done_steps: 11, ..drain.clone() }, &progress);
        assert_eq!((shown.kind.as_str(), shown.nodes), ("node_replace", vec![3, 4]));
        assert_eq!(shown.title, "replacement of node 3 by node 4");
        assert_eq!((shown.bytes_per_s, shown.seconds_left), (Some(0), Some(9)));
        assert!(shown.blocked_by.is_empty());
        let reason = "replacement of node 3 by node 4: no room".into();
        let blocker = Blocker { operation: Some(OperationId(7)), reason };
        progress.look(9_500, &[&drain], vec![blocker]);
        assert_eq!(operation(&drain, &progress).blocked_by, ["no room"]);
        let ended = Operation { state: OperationState::Done, ended_ms: 9, ..drain };
        let shown = operation(&ended, &progress);
        assert_eq!((shown.seconds_left, shown.ended_ms), (None, 9));
        assert!(shown.blocked_by.is_empty(), "of the last plan only");
    }
}
