//! The feed of topology updates: built once and shared by all watchers.
//!
//! A change of the epoch, of the leaders or of the live nodes leads to a new update, at most every
//! 200 ms. Each update contains the whole topology: a slow watcher may miss updates in between, but
//! always gets the last one. Leaders and live nodes are hints: the leader has them from heartbeats,
//! its followers from the leader.

use std::sync::Arc;
use std::time::Duration;

use ringkv_placement_core::hints::{Hints, update};
use ringkv_placement_core::state::State;
use ringkv_proto::v1::TopologyUpdate;
use ringkv_topology::Epoch;
use tokio::sync::watch;

use crate::observed::Observed;

/// Minimum time between updates: leaders of many groups change together, in one update.
const SPACING: Duration = Duration::from_millis(200);

/// Interval at which the feed looks for nodes that have become silent.
const SILENCE_CHECK: Duration = Duration::from_secs(1);

/// What watchers receive; `None` until the cluster is initialized.
pub(crate) type Updates = watch::Receiver<Option<Arc<TopologyUpdate>>>;

/// What updates are built from.
pub(crate) struct Sources<L> {
    pub(crate) state: watch::Receiver<Arc<State>>,
    /// Whether this replica leads.
    pub(crate) leads: L,
    /// The source of hints while this replica leads.
    pub(crate) observed: Arc<Observed>,
    /// The source of hints while another replica leads.
    pub(crate) passed_on: watch::Receiver<Hints>,
}

/// Starts the feed; it ends when the sender of the state is dropped.
pub(crate) fn start(sources: Sources<impl Fn() -> bool + Send + Sync + 'static>) -> Updates {
    let (sender, updates) = watch::channel(None);
    tokio::spawn(run(sources, sender));
    updates
}

async fn run(
    mut sources: Sources<impl Fn() -> bool>,
    sender: watch::Sender<Option<Arc<TopologyUpdate>>>,
) {
    let mut shown = None;
    loop {
        let current = Arc::clone(&sources.state.borrow_and_update());
        let seen = Seen { epoch: current.epoch(), hints: sources.hints() };
        if shown.as_ref() != Some(&seen) {
            if let Some(update) = update(&current, &seen.hints) {
                sender.send_replace(Some(Arc::new(update)));
            }
            shown = Some(seen);
        }
        tokio::time::sleep(SPACING).await;
        tokio::select! {
            changed = sources.state.changed() => if changed.is_err() { return },
            Ok(()) = sources.passed_on.changed() => {}
            () = sources.observed.news() => {}
            () = tokio::time::sleep(SILENCE_CHECK) => {}
        }
    }
}

impl<L: Fn() -> bool> Sources<L> {
    fn hints(&mut self) -> Hints {
        let passed_on = self.passed_on.borrow_and_update().clone();
        if (self.leads)() {
            Hints { leaders: self.observed.leaders(), alive: self.observed.alive() }
        } else {
            passed_on
        }
    }
}

/// All that an update depends on.
#[derive(PartialEq, Eq)]
struct Seen {
    epoch: Epoch,
    hints: Hints,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use ringkv_placement_core::command::Command;
    use ringkv_placement_core::observations::GroupReport;
    use ringkv_proto::v1::LeaderHint;
    use ringkv_topology::{ClusterId, GroupId, NodeId, ReadMode, Settings, SlotCount};

    use super::*;

    /// A feed and the ends of its sources.
    struct Fed {
        state: watch::Sender<Arc<State>>,
        leads: Arc<AtomicBool>,
        observed: Arc<Observed>,
        passed_on: watch::Sender<Hints>,
        updates: Updates,
    }

    fn feed(state: State) -> Fed {
        let (state, states) = watch::channel(Arc::new(state));
        let (passed_on, hints) = watch::channel(Hints::default());
        let observed = Arc::new(Observed::new());
        let leads = Arc::new(AtomicBool::new(true));
        let leading = Arc::clone(&leads);
        let updates = start(Sources {
            state: states,
            leads: move || leading.load(Ordering::SeqCst),
            observed: Arc::clone(&observed),
            passed_on: hints,
        });
        Fed { state, leads, observed, passed_on, updates }
    }

    fn initialized() -> State {
        let settings = Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        };
        let mut state = State::default();
        state.apply(Command::Init { cluster: ClusterId(9), settings });
        state
    }

    #[tokio::test(start_paused = true)]
    async fn updates_follow_the_epoch_and_what_is_heard() {
        let mut fed = feed(State::default());
        assert_eq!(*fed.updates.borrow_and_update(), None);

        fed.state.send_replace(Arc::new(initialized()));
        fed.updates.changed().await.unwrap();
        let first = fed.updates.borrow_and_update().clone().unwrap();
        assert_eq!(first.topology.as_ref().unwrap().epoch, 1);

        let report = GroupReport { leader: true, ..GroupReport::new(GroupId(4), None, 1) };
        fed.observed.reported(NodeId(7), Epoch(1), &[report]);
        fed.updates.changed().await.unwrap();
        let second = fed.updates.borrow_and_update().clone().unwrap();
        assert_eq!(second.alive_nodes, [7]);
        assert_eq!(second.leaders, [LeaderHint { group: 4, node: 7 }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_passes_on_what_the_leader_heard_and_not_its_own() {
        let mut fed = feed(initialized());
        fed.leads.store(false, Ordering::SeqCst);
        fed.observed.reported(NodeId(7), Epoch::default(), &[]);
        fed.passed_on.send_replace(Hints { alive: [NodeId(8)].into(), ..Hints::default() });
        let alive = |update: &Option<Arc<TopologyUpdate>>| {
            update.as_ref().is_some_and(|update| update.alive_nodes == [8])
        };
        fed.updates.wait_for(alive).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_that_changes_nothing_is_no_update() {
        let mut fed = feed(initialized());
        fed.observed.reported(NodeId(7), Epoch::default(), &[]);
        fed.updates.changed().await.unwrap();
        fed.updates.mark_unchanged();
        fed.observed.reported(NodeId(7), Epoch::default(), &[]);
        tokio::time::sleep(SILENCE_CHECK * 3).await;
        assert!(!fed.updates.has_changed().unwrap());
    }
}
