//! Rebuilds a placement that was wholly lost from what the storage nodes have, for `ringkv recover`.
//!
//! Asks the nodes and writes one new data directory; the core decides what is in it. Never changes a
//! directory that is not empty, and never writes without a majority of the nodes.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use ringkv_data_dir::DataDir;
use ringkv_placement_core::place::Place;
use ringkv_placement_core::recovery::{NodeFound, plan};
use ringkv_placement_core::state::{FOUNDER, Recovery};
use ringkv_proto::v1::StatusRequest;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::admin_client::AdminClient;
use ringkv_topology::ClusterId;
use tonic::transport::Endpoint;

pub use ringkv_placement_core::recovery::{CannotRecover, RecoveryPlan};

use crate::config::listed;
use crate::identity::{Beginning, Identity};
use crate::parts::random_id;

/// A node that does not answer within this counts as away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What the nodes say.
#[derive(Debug)]
pub struct Asked {
    pub plan: Result<RecoveryPlan, CannotRecover>,
    /// Addresses that did not answer, and why.
    pub silent: Vec<(String, String)>,
}

/// Who recovers placement, and the place of its first replica.
#[derive(Clone, Debug)]
pub struct Recoverer {
    /// The number in `peers` that the data directory is for.
    pub id: u64,
    /// As `--peers` of `ringkv-placement`.
    pub peers: Vec<String>,
    pub by: String,
}

/// Asks storage nodes for all that they have; `addresses` are those of their gRPC.
pub async fn ask(addresses: &[String]) -> Asked {
    let asked = addresses.iter().map(|address| async move { (address, ask_one(address).await) });
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (address, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(node) => found.push(node),
            Err(error) => silent.push((address.clone(), format!("{error:#}"))),
        }
    }
    Asked { plan: plan(&found), silent }
}

async fn ask_one(address: &str) -> anyhow::Result<NodeFound> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(ANSWER_TIMEOUT)
        .timeout(ANSWER_TIMEOUT);
    let channel = endpoint.connect().await.context("connect")?;
    let mut client = AdminClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let status = client.status(StatusRequest { topology: true }).await;
    let status = status.map_err(|status| anyhow::anyhow!("{}", status.message()))?.into_inner();
    NodeFound::read(&status)?.context("it has no identity yet")
}

/// Writes the data directory of the first replica of the recovered placement.
///
/// # Errors
/// The nodes that answered are no majority, a setting is invalid, or the directory is not empty or
/// cannot be written.
pub fn apply(plan: RecoveryPlan, data_dir: &Path, who: &Recoverer) -> anyhow::Result<Recovery> {
    plan.check_majority()?;
    let (place, peers) = (Place(who.id), listed(&who.peers)?);
    ensure!(peers.contains_key(&place), "--peers: does not name --id {}", who.id);
    ensure!(!who.by.trim().is_empty(), "--by: is empty: say who recovers placement");
    let dir = DataDir::open(data_dir)?;
    for entry in std::fs::read_dir(data_dir).context("--data-dir: list")? {
        let name = entry.context("--data-dir: list")?.file_name();
        ensure!(
            name == "LOCK",
            "--data-dir: {} is not empty: it has {}; name a new directory",
            data_dir.display(),
            name.display()
        );
    }
    let at_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let state = plan.into_state(place, &peers, at_s, who.by.clone());
    let record = state.members().recoveries.last().cloned().context("the plan has no record")?;
    let identity = Identity { raft_cluster: ClusterId(random_id()), replica: FOUNDER, place };
    identity.write(&dir, &Beginning { founds: true, context: state.to_context() })?;
    Ok(record)
}
