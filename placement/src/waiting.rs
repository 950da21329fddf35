//! What a placement process does with an empty data directory, until the directory is that of a
//! replica: asks the others who they are, and founds, joins or waits as the core decides.
//!
//! Serves in the meantime: others that are empty too ask here, and storage nodes hear that they are
//! to retry. The identity is durable before anything is done under it.

mod refusing;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ringkv_data_dir::DataDir;
use ringkv_placement_core::command::{Command, CommandResult, MembersCommand};
use ringkv_placement_core::members_view;
use ringkv_placement_core::place::Place;
use ringkv_placement_core::start::{Answer, Start, decide};
use ringkv_placement_core::state::{FOUNDER, State};
use ringkv_proto::v1::DescribeReply;
use ringkv_services::v1::placement_peers_server::PlacementPeersServer;
use ringkv_services::v1::placement_server::PlacementServer;
use ringkv_telemetry::health::Health;
use ringkv_topology::{ClusterId, ReplicaId};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::config::Config;
use crate::grpc;
use crate::identity::{Beginning, Identity};
use crate::members_loop::HEALTH_PART;
use crate::parts::random_id;
use crate::peer_calls;
use crate::peers_service::PeersService;
use crate::waiting::refusing::Refusing;

/// Pause between rounds: an operator waits for the first start.
const PAUSE: Duration = Duration::from_millis(300);
/// The reason for waiting is logged again after this.
const REMIND_INTERVAL: Duration = Duration::from_secs(10);

/// Makes the empty directory that of a replica. Serves on a copy of `listener` until then.
///
/// # Errors
/// The settings never lead to a placement, or the directory cannot be written.
pub(crate) async fn identity(
    config: &Config,
    dir: &DataDir,
    listener: &TcpListener,
    health: &Health,
) -> anyhow::Result<Identity> {
    let closing = CancellationToken::new();
    let listener = listener.try_clone().context("--listen: copy the socket")?;
    let peers = PeersService {
        me: config.place,
        peers: Arc::new(config.peers.clone()),
        member: None,
        overview: None,
    };
    let routes =
        Routes::new(PlacementServer::new(Refusing)).add_service(PlacementPeersServer::new(peers));
    let mut served = tokio::spawn(grpc::serve(listener, routes, closing.clone()));
    let found = tokio::select! {
        found = Round::new(config, health).until_found() => found,
        ended = &mut served => {
            ended??;
            Err(anyhow::anyhow!("the gRPC server stopped unexpectedly"))
        }
    };
    closing.cancel();
    if tokio::time::timeout(grpc::CLOSE_TIMEOUT, &mut served).await.is_err() {
        served.abort();
    }
    let (identity, beginning) = found?;
    identity.write(dir, &beginning)?;
    Ok(identity)
}

struct Round<'a> {
    config: &'a Config,
    health: &'a Health,
    /// Names this run of the process: a repeated request to join gets the same id.
    token: u64,
    said: Option<(String, Instant)>,
}

type Answers = BTreeMap<Place, (Answer, DescribeReply)>;

impl<'a> Round<'a> {
    fn new(config: &'a Config, health: &'a Health) -> Self {
        Self { config, health, token: random_id(), said: None }
    }

    async fn until_found(mut self) -> anyhow::Result<(Identity, Beginning)> {
        loop {
            let answers = self.ask().await;
            let only = answers.iter().map(|(place, (answer, _))| (*place, answer.clone()));
            match decide(self.config.place, &self.config.peers, &only.collect()) {
                Start::Found => return Ok(self.found()),
                Start::Join(raft_cluster) => match self.join(raft_cluster, &answers).await {
                    Ok(joined) => return Ok(joined),
                    Err(reason) => self.say(format!("cannot join placement yet: {reason}")),
                },
                Start::Wait(reason) => {
                    self.say(format!("{reason}; an empty directory never votes under an old id"));
                }
                Start::Refuse(problem) => anyhow::bail!("--peers: {problem}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks all other addresses at the same time.
    async fn ask(&self) -> Answers {
        let others = self.config.peers.iter().filter(|(place, _)| **place != self.config.place);
        let ask = others.map(|(place, address)| async {
            peer_calls::describe(address).await.map(|answer| (*place, answer))
        });
        futures::future::join_all(ask).await.into_iter().flatten().collect()
    }

    fn found(&self) -> (Identity, Beginning) {
        let Config { place, peers, .. } = self.config;
        let raft_cluster = ClusterId(random_id());
        tracing::info!(placement = %raft_cluster, "every address is empty; founding placement");
        let context = State::founded(*place, peers).to_context();
        let identity = Identity { raft_cluster, replica: FOUNDER, place: *place };
        (identity, Beginning { founds: true, context })
    }

    /// Asks the leader for an id.
    async fn join(
        &self,
        raft_cluster: ClusterId,
        answers: &Answers,
    ) -> Result<(Identity, Beginning), String> {
        let Config { place, peers, .. } = self.config;
        let knows = |(_, (answer, _)): &(&Place, &(Answer, DescribeReply))| {
            answer
                .group
                .as_ref()
                .is_some_and(|group| group.raft_cluster == raft_cluster && group.leader.is_some())
        };
        let (at, (_, reply)) = answers.iter().find(knows).ok_or("no leader is known")?;
        let group = reply.group.as_ref().ok_or("no leader is known")?;
        let address = peers.get(place).cloned().unwrap_or_default();
        let admit = MembersCommand::Admit { place: *place, address, token: self.token };
        let asked = peer_calls::propose(&peers[at], raft_cluster, &Command::Members(admit)).await;
        let replica: ReplicaId = match asked.map_err(|status| status.message().to_owned())? {
            CommandResult::ReplicaAdmitted { replica } => replica,
            CommandResult::Refused(refusal) => return Err(refusal.to_string()),
            other => return Err(format!("unexpected result {other:?}")),
        };
        tracing::info!(placement = %raft_cluster, %replica, "joining placement under a new id");
        let context = State::knowing(members_view::members(group)).to_context();
        let identity = Identity { raft_cluster, replica, place: *place };
        Ok((identity, Beginning { founds: false, context }))
    }

    /// Tells the operator why, in the log and on /readyz.
    fn say(&mut self, reason: String) {
        self.health.unready(HEALTH_PART, &reason);
        let is_news = self
            .said
            .as_ref()
            .is_none_or(|(said, at)| *said != reason || at.elapsed() >= REMIND_INTERVAL);
        if is_news {
            tracing::info!(reason, "the data directory is empty");
            self.said = Some((reason, Instant::now()));
        }
    }
}
