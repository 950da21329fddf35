//! The feed of topology updates: what watchers see, made once for all of them.
//!
//! A new update follows a change of the epoch, of the leaders or of the nodes alive, at most
//! every 200 ms. A slow watcher misses updates in between and never the last one: each holds the
//! whole. Leaders and nodes alive are hints that only the leader's feed has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringkv_proto::topology::to_proto;
use ringkv_proto::v1::{LeaderHint, TopologyUpdate};
use ringkv_topology::{Epoch, GroupId, NodeId};
use tokio::sync::watch;

use crate::observed::Observed;
use crate::state::State;

/// Leaders of many groups change together: watchers get them as one update.
const SPACING: Duration = Duration::from_millis(200);

/// How long a node's silence may go unnoticed when nothing else happens.
const SILENCE_CHECK: Duration = Duration::from_secs(1);

/// What watchers receive; `None` until the cluster is initialized.
pub(crate) type Updates = watch::Receiver<Option<Arc<TopologyUpdate>>>;

/// Starts the feed; it ends when the state's sender is gone.
pub(crate) fn start(state: watch::Receiver<Arc<State>>, observed: Arc<Observed>) -> Updates {
    let (sender, updates) = watch::channel(None);
    tokio::spawn(run(state, observed, sender));
    updates
}

async fn run(
    mut state: watch::Receiver<Arc<State>>,
    observed: Arc<Observed>,
    sender: watch::Sender<Option<Arc<TopologyUpdate>>>,
) {
    let mut shown = None;
    loop {
        let current = Arc::clone(&state.borrow_and_update());
        let seen = Seen::now(&current, &observed);
        if shown.as_ref() != Some(&seen) {
            if let Some(update) = update(&current, &seen) {
                sender.send_replace(Some(Arc::new(update)));
            }
            shown = Some(seen);
        }
        tokio::time::sleep(SPACING).await;
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = observed.news() => {}
            () = tokio::time::sleep(SILENCE_CHECK) => {}
        }
    }
}

/// All that an update depends on.
#[derive(PartialEq, Eq)]
struct Seen {
    epoch: Epoch,
    leaders: BTreeMap<GroupId, NodeId>,
    alive: BTreeSet<NodeId>,
}

impl Seen {
    fn now(state: &State, observed: &Observed) -> Self {
        Self { epoch: state.epoch(), leaders: observed.leaders(), alive: observed.alive() }
    }
}

fn update(state: &State, seen: &Seen) -> Option<TopologyUpdate> {
    let hint = |(group, node): (&GroupId, &NodeId)| LeaderHint { group: group.0, node: node.0 };
    Some(TopologyUpdate {
        topology: Some(to_proto(state.topology()?)),
        leaders: seen.leaders.iter().map(hint).collect(),
        alive_nodes: seen.alive.iter().map(|node| node.0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{ClusterId, Settings, SlotCount};

    use super::*;
    use crate::command::Command;
    use crate::observations::GroupReport;

    fn initialized() -> Arc<State> {
        let settings = Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
        };
        let mut state = State::default();
        state.apply(Command::Init { cluster: ClusterId(9), settings });
        Arc::new(state)
    }

    #[tokio::test(start_paused = true)]
    async fn updates_follow_the_epoch_and_what_is_heard() {
        let (sender, state) = watch::channel(Arc::new(State::default()));
        let observed = Arc::new(Observed::new());
        let mut updates = start(state, Arc::clone(&observed));
        assert_eq!(*updates.borrow_and_update(), None);

        sender.send_replace(initialized());
        updates.changed().await.unwrap();
        let first = updates.borrow_and_update().clone().unwrap();
        assert_eq!(first.topology.as_ref().unwrap().epoch, 1);

        let report = GroupReport { group: GroupId(4), leader: true, term: 1 };
        observed.reported(NodeId(7), &[report]);
        updates.changed().await.unwrap();
        let second = updates.borrow_and_update().clone().unwrap();
        assert_eq!(second.alive_nodes, [7]);
        assert_eq!(second.leaders, [LeaderHint { group: 4, node: 7 }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_changes_nothing_is_no_update() {
        let (_sender, state) = watch::channel(initialized());
        let observed = Arc::new(Observed::new());
        observed.heard(NodeId(7));
        let mut updates = start(state, Arc::clone(&observed));
        updates.changed().await.unwrap();
        updates.mark_unchanged();
        observed.heard(NodeId(7));
        tokio::time::sleep(SILENCE_CHECK * 3).await;
        assert!(!updates.has_changed().unwrap());
    }
}
