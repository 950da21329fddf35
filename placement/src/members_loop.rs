//! Keeps placement's own replicas as the state wants them, and says where this one stands.
//!
//! Decides nothing: the leader does the steps of the core, one after the other. Every replica makes
//! its own address known when it has changed, and finds out when the others have removed it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringkv_consensus::{GroupStatus, LogIndex};
use ringkv_placement_core::command::{Command, CommandResult, MembersCommand};
use ringkv_placement_core::member_steps::{Step, next};
use ringkv_placement_core::members_view;
use ringkv_placement_core::start::Peers;
use ringkv_placement_core::state::State;
use ringkv_proto::v1::PlacementGroup;
use ringkv_telemetry::health::Health;
use ringkv_topology::Role;
use tonic::Status;

use crate::identity::Beginning;
use crate::member::Member;
use crate::peer_calls;

/// Pause between rounds; also the interval at which activity is sampled.
const PAUSE: Duration = Duration::from_millis(200);
/// Pause between attempts to make the own address known, and between questions to the others.
const ASK_INTERVAL: Duration = Duration::from_secs(2);
/// Without a leader for this long a replica asks whether it has been removed.
const LEADERLESS_MAX: Duration = Duration::from_secs(5);

/// The part of [`Health`] that this loop reports.
pub(crate) const HEALTH_PART: &str = "members";

/// What a round uses.
pub(crate) struct MembersLoop {
    pub(crate) member: Member,
    pub(crate) peers: Peers,
    pub(crate) data_dir: PathBuf,
    pub(crate) health: Health,
}

/// What one replica remembers from round to round.
struct Rounds {
    had_leader: Instant,
    asked: Option<Instant>,
    has_log: bool,
    /// The last reason that was said; `None` before the first look.
    said: Option<Option<String>>,
    /// Set while the others say that this replica was taken out for good.
    removed: Option<String>,
}

impl MembersLoop {
    /// Runs until dropped.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut rounds = Rounds {
            had_leader: Instant::now(),
            asked: None,
            has_log: false,
            said: None,
            removed: None,
        };
        loop {
            let state = Arc::clone(&self.member.state.borrow());
            let status = self.member.replica.status();
            self.member.live.look(status.as_ref());
            if let Some(status) = &status {
                if self.member.replica.leads() {
                    let live = self.member.live.replicas();
                    if let Some(step) = next(state.members(), status, &live) {
                        self.act(step).await;
                    }
                }
                self.note_log(&mut rounds, status)?;
                self.say(&mut rounds, &state, status);
            }
            self.look_around(&mut rounds, &state).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn act(&self, step: Step) {
        tracing::info!(?step, "changing placement's replicas");
        match step {
            Step::HandOver(node) => self.member.replica.hand_over(node),
            Step::Change(change) => {
                if let Err(error) = self.member.replica.change_members(change).await {
                    tracing::info!(%error, "the change was not made; planning again");
                }
            }
            Step::Propose(command) => {
                match self.member.replica.propose(&Command::Members(command)).await {
                    Ok(CommandResult::Refused(refusal)) => {
                        tracing::info!(%refusal, "the step was refused; planning again");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::info!(%error, "the step failed; planning again"),
                }
            }
        }
    }

    /// The log holds what the replica began with: from now on a lost log is not begun again.
    fn note_log(&self, rounds: &mut Rounds, status: &GroupStatus) -> anyhow::Result<()> {
        if !rounds.has_log && status.applied_index > LogIndex(1) {
            Beginning::done(&self.data_dir)?;
            rounds.has_log = true;
        }
        Ok(())
    }

    fn say(&self, rounds: &mut Rounds, state: &State, status: &GroupStatus) {
        let reason = rounds.removed.clone().or_else(|| self.shortfall(state, status));
        if rounds.said.as_ref() == Some(&reason) {
            return;
        }
        match &reason {
            None => {
                tracing::info!(replica = %self.member.identity.replica, "a full replica of placement");
                self.health.ready(HEALTH_PART);
            }
            Some(reason) => {
                tracing::info!(reason, "not a full replica of placement");
                self.health.unready(HEALTH_PART, reason);
            }
        }
        rounds.said = Some(reason);
    }

    /// Why this is not a full replica of a founded placement, if it is not.
    fn shortfall(&self, state: &State, status: &GroupStatus) -> Option<String> {
        let (members, me) = (state.members(), self.member.identity.replica);
        let votes = status.members.voters.contains(&me);
        if state.topology().is_none() && members.is_founding() {
            let missing = members.founding.iter().filter(|place| {
                let mut there = members.at(**place);
                !there.any(|id| status.members.voters.contains(&id))
            });
            let missing: Vec<_> = missing.map(ToString::to_string).collect();
            return Some(format!("founding placement: waiting for number {}", missing.join(", ")));
        }
        match members.replicas.get(&me).map(|own| own.role) {
            Some(Role::Voter) if votes => None,
            Some(Role::Leaving) => Some("this replica is being removed".to_owned()),
            _ if status.leader.is_some() => Some(format!("joining as replica {me}")),
            _ => Some("joining: no leader is known".to_owned()),
        }
    }

    /// Makes an address that has changed known, and asks the others after a time without a leader.
    async fn look_around(&self, rounds: &mut Rounds, state: &State) {
        let leader = self.member.replica.leader();
        if leader.is_some() {
            rounds.had_leader = Instant::now();
        }
        if rounds.asked.is_some_and(|asked| asked.elapsed() < ASK_INTERVAL) {
            return;
        }
        if let Some(address) = self.moved_to(state) {
            rounds.asked = Some(Instant::now());
            self.relocate(address).await;
        } else if rounds.had_leader.elapsed() > LEADERLESS_MAX {
            rounds.asked = Some(Instant::now());
            self.ask_whether_removed(rounds).await;
        }
    }

    /// The address of this replica, if the state has another.
    fn moved_to(&self, state: &State) -> Option<String> {
        let identity = self.member.identity;
        let known = state.members().replicas.get(&identity.replica)?;
        let own = self.peers.get(&identity.place)?;
        (known.role != Role::Leaving && known.address != *own).then(|| own.clone())
    }

    /// Asks any of the others: the leader does not reach this replica before it knows the address.
    async fn relocate(&self, address: String) {
        let identity = self.member.identity;
        let relocate =
            MembersCommand::Relocate { replica: identity.replica, address: address.clone() };
        let command = Command::Members(relocate);
        let done = if self.member.replica.leads() {
            self.member.propose(&command).await
        } else {
            let mut done = Err(Status::unavailable("--peers names no other replica"));
            for at in self.others() {
                done = peer_calls::propose(at, identity.raft_cluster, &command).await;
                if done.is_ok() {
                    break;
                }
            }
            done
        };
        match done {
            Ok(result) => tracing::info!(address, ?result, "made the new address known"),
            Err(status) => {
                let reason = status.message();
                tracing::info!(address, reason, "cannot make the new address known; retrying");
            }
        }
    }

    fn others(&self) -> impl Iterator<Item = &str> {
        let me = self.member.identity.place;
        self.peers.iter().filter(move |(at, _)| **at != me).map(|(_, address)| address.as_str())
    }

    async fn ask_whether_removed(&self, rounds: &mut Rounds) {
        let identity = self.member.identity;
        let is_removed = |group: &PlacementGroup| {
            members_view::is_removed(identity.replica, identity.raft_cluster, group)
        };
        rounds.removed = None;
        for address in self.others() {
            let answer = peer_calls::describe(address).await;
            let group = answer.and_then(|(_, reply)| reply.group);
            if group.as_ref().is_some_and(is_removed) {
                rounds.removed = Some(format!(
                    "replica {} was taken out of placement for good: empty this data directory to \
                     join under a new id, or stop the process",
                    identity.replica
                ));
                return;
            }
        }
    }
}
