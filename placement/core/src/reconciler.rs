//! Plans the next commands from the replicated state and the observations.
//!
//! Level-triggered: looks at the whole state each time and keeps nothing in between, so that a lost
//! step, a new leader or a restart needs no special case. A step is guarded by the epoch at which
//! its group last changed, and refused after it. Read in this order: `view` (what a round sees),
//! `draft` (the plan as it grows, and its bounds), then what is planned: `bootstrap`, `progress` (of
//! changes that run), `repair`, `drain`, `zones`, `balance`, `leaders`, `ending`.
//!
//! Safety is not here: the state machine refuses a second change of a group, and the group's own
//! engine a configuration without a live majority. This module avoids both, and reports what blocks
//! it.

mod balance;
mod bootstrap;
mod draft;
mod drain;
mod ending;
mod leaders;
mod progress;
mod repair;
mod view;
mod zones;

use ringkv_topology::{BootstrapWhen, ClusterId, Settings};

use crate::command::Command;
use crate::observations::Observations;
use crate::operation::{OperationId, OperationKind};
use crate::reconciler::draft::{Draft, Need};
use crate::reconciler::view::View;
use crate::state::State;

/// What the operator configured on this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The id for a cluster that has none yet; the caller draws it at random.
    pub cluster: ClusterId,
    pub settings: Settings,
    pub bootstrap_when: BootstrapWhen,
}

/// The time of a round, by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock of the observations.
    pub observed_ms: u64,
    /// Milliseconds since 1970: recorded with operations, never compared.
    pub wall_ms: u64,
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To propose in this order; if one is refused, plan again.
    pub steps: Vec<Command>,
    /// What has to happen first.
    pub blocked: Vec<Blocker>,
}

/// What has to happen before a step can be planned, as a text for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The operation that it blocks, if that has begun.
    pub operation: Option<OperationId>,
    pub reason: String,
}

/// Plans the next steps.
pub fn plan(state: &State, observations: &Observations, wanted: &Wanted, now: Now) -> Plan {
    let Some(cluster) = &state.cluster else {
        return match state.members().is_founding() {
            true => bootstrap::founding(),
            false => bootstrap::init(wanted),
        };
    };
    let topology = &cluster.topology;
    if !topology.is_bootstrapped() {
        return bootstrap::plan(topology, &observations.alive(now.observed_ms), wanted, now);
    }
    let view = View { cluster, topology, observations, now };
    let mut draft = Draft::new(view);
    progress::plan(&mut draft);
    let is_whole = plan_needs(&mut draft);
    let is_balanced =
        if is_whole && balance::is_quiet(&view) { balance::plan(&mut draft) } else { false };
    leaders::plan(&mut draft);
    ending::plan(&mut draft, is_balanced);
    draft.plan
}

/// Plans what groups need, the most urgent first. Returns whether no group needs anything, and only
/// balance is running.
fn plan_needs(draft: &mut Draft<'_>) -> bool {
    let view = draft.view;
    let mut needs: Vec<(usize, Need<'_>)> = Vec::new();
    for group in view.topology.groups.values().filter(|group| !view.cluster.is_busy(group)) {
        let need = [
            repair::too_few(&view, group),
            repair::lost(&view, group),
            drain::replaced(&view, group),
            drain::drained(&view, group),
            zones::shared(draft, group),
        ];
        let first = need.into_iter().enumerate().find_map(|(rank, need)| Some((rank, need?)));
        needs.extend(first);
    }
    needs.sort_by_key(|(rank, _)| *rank);
    let is_whole = needs.is_empty();
    for (_, need) in needs {
        draft.place(need);
    }
    repair::remove_surplus(draft);
    is_whole && view.cluster.moves.values().all(|one| is_balance(&view, one.operation))
}

fn is_balance(view: &View<'_>, operation: OperationId) -> bool {
    let operation = view.cluster.operations.running.get(&operation);
    operation.is_some_and(|operation| {
        matches!(operation.kind, OperationKind::NodeJoined { .. } | OperationKind::Rebalance)
    })
}

#[cfg(test)]
mod tests;
