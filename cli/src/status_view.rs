//! Pure. Whether a cluster is well, what is not, and what to do next.
//!
//! Owns what counts as a problem. A change that goes on is none; one that is blocked is.

use std::time::Duration;

use ringkv_client::Operation;
use ringkv_client::admin::{ClusterStatus, NodeStatus};
use ringkv_topology::NodeState;

use crate::operation_view::{OperationView, duration};

/// Lines of one kind on the screen.
const SHOWN_MAX: usize = 8;

/// Something that is not well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub what: String,
    /// What to do, with the command.
    pub next: String,
}

/// The screen.
#[derive(Debug)]
pub(crate) struct Report {
    headline: String,
    facts: Vec<String>,
    pub problems: Vec<Problem>,
}

impl Report {
    /// Judges the status.
    pub(crate) fn of(status: &ClusterStatus) -> Self {
        let problems =
            [bootstrap(status), nodes(status), groups(status), blocked(status), placement(status)];
        let problems: Vec<Problem> = problems.into_iter().flatten().collect();
        let well = if problems.is_empty() { "all is well" } else { "NOT WELL" };
        Self {
            headline: format!("cluster {}, epoch {}: {well}", status.cluster, status.epoch),
            facts: facts(status),
            problems,
        }
    }

    /// The lines of the screen.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.headline);
        for fact in &self.facts {
            text.push_str(&format!("{fact}\n"));
        }
        for Problem { what, next } in &self.problems {
            text.push_str(&format!("\n! {what}\n  next: {next}\n"));
        }
        text
    }
}

fn facts(status: &ClusterStatus) -> Vec<String> {
    let count = |is: &dyn Fn(&&NodeStatus) -> bool| status.nodes.iter().filter(is).count();
    let silent = count(&|node| node.silent.is_some_and(|silent| !silent.is_zero()));
    let unjudged = count(&|node| node.silent.is_none());
    let draining = count(&|node| node.state == NodeState::Draining);
    let alive = status.nodes.len() - silent - unjudged;
    let mut nodes = format!(
        "nodes       {alive} alive, {silent} silent, {draining} draining, of {}",
        status.nodes.len()
    );
    if unjudged > 0 {
        nodes.push_str(&format!("; {unjudged} not heard from yet by placement's new leader"));
    }
    let mut facts = vec![
        nodes,
        format!(
            "groups      {}: {} without a leader, {} with fewer than {} live replicas",
            status.groups,
            status.groups_without_leader.len(),
            status.under_replicated_groups.len(),
            status.replication_factor
        ),
        placement_fact(status),
    ];
    match &status.operations[..] {
        [] => facts.push("operations  none is running".to_owned()),
        running => {
            let more = running.len().saturating_sub(SHOWN_MAX);
            let shown = running[..running.len() - more].iter();
            facts.extend(
                shown.map(|one| format!("running     {}", OperationView::from(one).line())),
            );
            if more > 0 {
                facts.push(format!("running     {more} more: ringkv operation list"));
            }
        }
    }
    facts
}

fn placement_fact(status: &ClusterStatus) -> String {
    let alive = status.placement.iter().filter(|replica| replica.alive).count();
    let leader = status.placement.iter().find(|replica| replica.leads);
    let leader = leader.map_or("unknown", |leader| &leader.address);
    format!("placement   {alive} of {} replicas alive, leader {leader}", status.placement.len())
}

fn bootstrap(status: &ClusterStatus) -> Vec<Problem> {
    if status.bootstrapped {
        return Vec::new();
    }
    let reasons = status.blocked_by.join("; ");
    vec![Problem {
        what: format!("the cluster is not bootstrapped: {reasons}"),
        next: "start storage nodes until there are enough: `ringkv node list` shows them".into(),
    }]
}

/// Nodes that are silent and still hold something.
fn nodes(status: &ClusterStatus) -> Vec<Problem> {
    let replace_after = Duration::from_secs(status.settings.replace_after_s.into());
    let silent = status.nodes.iter().filter_map(|node| {
        let silent = node.silent.filter(|silent| !silent.is_zero())?;
        // A node that was drained may be gone.
        (node.replicas > 0 || node.state == NodeState::Active).then_some((node, silent))
    });
    let problem = |(node, silent): (&NodeStatus, Duration)| Problem {
        what: format!(
            "node {} ({}) is silent for {}",
            node.id,
            node.address,
            duration(silent.as_secs())
        ),
        next: next_of_silent(node, replace_after.saturating_sub(silent)),
    };
    bounded(silent.map(problem).collect(), "nodes are silent", "`ringkv node list` shows them")
}

/// What to do about a silent node that is replaced after some time.
fn next_of_silent(node: &NodeStatus, left: Duration) -> String {
    if node.state == NodeState::Draining {
        return "its replicas move away without it: `ringkv operation list`".to_owned();
    }
    if left.is_zero() {
        return "its replicas are being replaced: `ringkv operation list`; if it is back with its \
                data directory, that is used"
            .to_owned();
    }
    format!(
        "start it again with its data directory; else its replicas are replaced in {}, or now with \
         `ringkv node drain {}`",
        duration(left.as_secs()),
        node.id
    )
}

fn groups(status: &ClusterStatus) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !status.groups_without_leader.is_empty() {
        problems.push(Problem {
            what: format!("no leader: {}", listed(&status.groups_without_leader)),
            next:
                "a majority of the nodes of each has to run: `ringkv topology` names them, start \
                   the silent ones"
                    .into(),
        });
    }
    if !status.under_replicated_groups.is_empty() {
        problems.push(Problem {
            what: format!("too few live replicas: {}", listed(&status.under_replicated_groups)),
            next:
                "it is repaired when the node is back, or on another one: `ringkv operation list` \
                   shows it; with too few nodes add one with `ringkv node start`"
                    .into(),
        });
    }
    problems
}

fn blocked(status: &ClusterStatus) -> Vec<Problem> {
    let is_blocked = |operation: &&Operation| !operation.blocked_by.is_empty();
    let of_operations = status.operations.iter().filter(is_blocked).map(|operation| Problem {
        what: format!(
            "operation {} ({}) is blocked: {}",
            operation.id, operation.title, operation.blocked_by[0]
        ),
        next: format!("`ringkv operation show {}` lists all that blocks it", operation.id),
    });
    let of_cluster = status.blocked_by.iter().filter(|_| status.bootstrapped);
    let of_cluster = of_cluster.map(|reason| Problem {
        what: format!("placement waits: {reason}"),
        next: "`ringkv node list` and `ringkv topology` show what is missing".into(),
    });
    let all = of_operations.chain(of_cluster).collect();
    bounded(all, "changes are blocked", "`ringkv operation list` shows them")
}

fn placement(status: &ClusterStatus) -> Vec<Problem> {
    let missing = status.placement.iter().filter(|replica| replica.votes && !replica.alive);
    missing
        .map(|replica| Problem {
            what: format!("placement's replica {} ({}) is silent", replica.id, replica.address),
            next: format!(
                "start it again, with an empty data directory if its disk is lost; if it never \
                 returns: `ringkv placement remove {}`",
                replica.id
            ),
        })
        .collect()
}

/// At most [`SHOWN_MAX`] problems, and how many there are more.
fn bounded(mut problems: Vec<Problem>, what: &str, next: &str) -> Vec<Problem> {
    let more = problems.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        problems.truncate(SHOWN_MAX);
        problems.push(Problem { what: format!("{more} more {what}"), next: next.to_owned() });
    }
    problems
}

fn listed(groups: &[u64]) -> String {
    let more = groups.len().saturating_sub(SHOWN_MAX);
    let shown: Vec<_> = groups[..groups.len() - more].iter().map(u64::to_string).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("groups {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests;
