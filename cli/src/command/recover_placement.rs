//! `ringkv recover placement`: rebuilds a placement of which every data directory is lost.
//!
//! Both steps ask the storage nodes and decide by what they say at that time; `plan` only shows it.

use std::fmt::Write as _;
use std::path::PathBuf;

use ringkv_placement::recovery::{self, Asked, CannotRecover, Recoverer, RecoveryPlan};

use crate::failure::{Exit, Failure};
use crate::output;

/// The storage nodes to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct NodesArgs {
    /// gRPC addresses of the storage nodes, at least a majority of them.
    #[arg(long, required = true, value_delimiter = ',', value_name = "HOST:PORT,…")]
    pub nodes: Vec<String>,
}

/// Flags of `ringkv recover placement plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub nodes: NodesArgs,
}

/// Flags of `ringkv recover placement apply`.
#[derive(Debug, clap::Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub nodes: NodesArgs,

    /// New or empty directory for the first replica of the recovered placement.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Number of that replica in --peers.
    #[arg(long, default_value_t = 1)]
    pub id: u64,

    /// All placement replicas, as they are started afterwards.
    #[arg(long, required = true, value_delimiter = ',', value_name = "ID=HOST:PORT,…")]
    pub peers: Vec<String>,

    /// Who recovers placement; kept in its state.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    pub by: String,
}

/// Shows what the nodes have and what would be done.
///
/// # Errors
/// Exit 1 when that is not enough to recover placement.
pub(crate) async fn plan(args: PlanArgs) -> Result<(), Failure> {
    let plan = asked(&args.nodes).await?;
    output::result(text(&plan).as_bytes())?;
    plan.check_majority().map_err(|error| cannot(&error))
}

/// Writes the directory and the record of it.
///
/// # Errors
/// Exit 1 when what the nodes have is not enough, 2 when the directory or a setting cannot be used.
pub(crate) async fn apply(args: ApplyArgs) -> Result<(), Failure> {
    let plan = asked(&args.nodes).await?;
    plan.check_majority().map_err(|error| cannot(&error))?;
    output::result(text(&plan).as_bytes())?;
    let who = Recoverer { id: args.id, peers: args.peers, by: args.by };
    let record = recovery::apply(plan, &args.data_dir, &who).map_err(|error| {
        Failure::new(Exit::Usage, format!("placement was not recovered: {error:#}"), "")
    })?;
    let nodes: Vec<_> = record.nodes.iter().map(ToString::to_string).collect();
    let dir = args.data_dir.display();
    output::remark(&format!(
        "recovered by {} at {} s since 1970 from nodes {}: epoch {} goes on at {}\nstart \
         ringkv-placement --id {} on {dir}, the others with empty directories",
        record.by,
        record.at_s,
        nodes.join(" "),
        record.epoch_found,
        record.epoch,
        args.id,
    ));
    Ok(())
}

async fn asked(args: &NodesArgs) -> Result<RecoveryPlan, Failure> {
    let Asked { plan, silent } = recovery::ask(&args.nodes).await;
    for (address, reason) in silent {
        output::remark(&format!("no answer from {address}: {reason}"));
    }
    plan.map_err(|error| cannot(&error))
}

fn cannot(error: &CannotRecover) -> Failure {
    let next = "start more storage nodes with their data and name all of them in --nodes";
    Failure::new(Exit::Negative, format!("placement cannot be recovered: {error}"), next)
}

fn text(plan: &RecoveryPlan) -> String {
    let mut text = String::new();
    let topology = &plan.topology;
    let voters = topology.groups.values().map(|group| group.voters().count()).sum::<usize>();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "cluster {}\nnewest epoch of the nodes: {}; the recovered placement begins at {}\nnodes: \
         {} answered, {} are missing\ngroups: {} with {voters} voters",
        topology.cluster,
        plan.epoch_found,
        topology.epoch,
        plan.nodes.len(),
        plan.missing.len(),
        topology.groups.len(),
    );
    for (node, address) in &plan.missing {
        let _ = writeln!(text, "missing: node {node} at {address}");
    }
    for note in &plan.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let _ = writeln!(
        text,
        "new ids begin above node {} and replica {}",
        plan.last_node, plan.last_replica
    );
    text
}
