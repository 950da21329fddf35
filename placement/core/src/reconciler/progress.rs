//! Changes that run: promotes learners that have caught up, drops replicas that are out, and takes
//! back joins that cannot or need not be completed.

use ringkv_topology::{Group, Replica, Role};

use crate::command::ReplicaCommand;
use crate::observations::{LeaderReport, MemberRole};
use crate::operation::OperationKind;
use crate::reconciler::draft::Draft;
use crate::state::replicas::Move;

/// A join is taken back when its node has been silent for this long: most restarts are shorter.
pub(super) const GIVE_UP_MS: u64 = 30_000;

/// Plans the next step of every change that runs.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let view = draft.view;
    for group in view.topology.groups.values().filter(|group| view.cluster.is_busy(group)) {
        let one = view.cluster.moves.get(&group.id);
        let operation = one.map(|one| one.operation);
        let Some(report) = view.leader(group) else {
            let reason = "a replica is joining or leaving, and the group has no live leader";
            draft.blocked(operation, format!("group {}: {reason}", group.id));
            continue;
        };
        match next(draft, group, one, report) {
            Ok(Some(step)) => draft.step(group.id, step),
            Ok(None) => {}
            Err(reason) => draft.blocked(operation, format!("group {}: {reason}", group.id)),
        }
    }
}

/// The next step of a group's change, `None` while its leader or a learner is at work, or what
/// blocks it.
fn next(
    draft: &Draft<'_>,
    group: &Group,
    one: Option<&Move>,
    report: &LeaderReport,
) -> Result<Option<ReplicaCommand>, String> {
    let with_role = |role| group.replicas.iter().find(move |replica| replica.role == role);
    let (id, changed) = (group.id, group.changed);
    if let Some(one) = one.filter(|one| is_void(draft, group, one, report)) {
        return Ok(Some(ReplicaCommand::Leave { group: id, changed, replica: one.joining }));
    }
    if let Some(leaving) = with_role(Role::Leaving) {
        let is_out = report.members_epoch >= changed && report.member(leaving.id).is_none();
        let drop = ReplicaCommand::Drop { group: id, changed, replica: leaving.id };
        return Ok((is_out && !report.is_joint()).then_some(drop));
    }
    let Some(one) = one else { return Ok(None) };
    if let Some(learner) = with_role(Role::Learner) {
        if is_given_up(draft, group, one, learner) {
            let leave = ReplicaCommand::Leave { group: id, changed, replica: learner.id };
            return Ok(Some(leave));
        }
        if !report.matches(group) || !report.is_caught_up(learner.id) {
            return Ok(None);
        }
        let leaving = one.leaving.filter(|_| group.voters().count() > 1);
        if !draft.view.keeps_quorum(group, report, leaving, true) {
            return Err("too few of its voters are caught up for a change of voters".into());
        }
        return Ok(Some(ReplicaCommand::Promote { group: id, changed, joining: learner.id }));
    }
    // The only voter of the group was joined by another one, and leaves in a step of its own.
    let leaving = one.leaving.filter(|_| report.matches(group));
    let leaving = leaving.filter(|replica| {
        report.is_caught_up(one.joining)
            && draft.view.keeps_quorum(group, report, Some(*replica), false)
    });
    Ok(leaving.map(|replica| ReplicaCommand::Leave { group: id, changed, replica }))
}

/// Whether a promoted replica's node has become silent before the group's leader made it a voter:
/// the leader may then never find a majority for that.
fn is_void(draft: &Draft<'_>, group: &Group, one: &Move, report: &LeaderReport) -> bool {
    let in_force = report.member(one.joining).map(|member| member.role);
    let promoted = group.voters().find(|voter| voter.id == one.joining);
    report.members_epoch < group.changed
        && !report.is_joint()
        && in_force != Some(MemberRole::Voter)
        && promoted.is_some_and(|voter| {
            let silent = draft.view.silent_ms(voter.node);
            silent.is_some_and(|silent| silent >= GIVE_UP_MS)
        })
}

/// Whether a join is to be taken back.
fn is_given_up(draft: &Draft<'_>, group: &Group, one: &Move, learner: &Replica) -> bool {
    let view = draft.view;
    let Some(operation) = view.cluster.operations.running.get(&one.operation) else {
        // It was aborted.
        return true;
    };
    if !view.is_active(learner.node)
        || view.silent_ms(learner.node).is_some_and(|silent| silent >= GIVE_UP_MS)
    {
        return true;
    }
    // The lost node is back with its disk: the replica there has most of the data.
    let replaced = group.replicas.iter().find(|replica| Some(replica.id) == one.leaving);
    matches!(operation.kind, OperationKind::NodeLost { .. })
        && replaced
            .is_some_and(|replica| view.is_active(replica.node) && view.is_alive(replica.node))
}
