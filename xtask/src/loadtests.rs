//! `cargo xtask loadtests`: runs the k6 scripts against a cluster of real processes.
//!
//! Every script of `loadtests/` runs, most of them for a second or two: this checks that they work
//! and what they detect, not the speed of this machine. Then each kind of check runs against
//! something that must fail it, because a load test that cannot fail proves nothing.

mod k6;
mod scripts;

mod forgery;

mod failover;
mod failures;

use std::net::SocketAddr;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::cluster::Cluster;
use k6::K6;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the checks whose name contains this text
    #[arg(long, default_value = "")]
    only: String,
}

/// What the checks share.
struct Test {
    cluster: Cluster,
    gateways: [SocketAddr; 2],
    k6: K6,
}

/// A check returns what the report shows in addition to "passed".
type Check = (&'static str, fn(&mut Test) -> anyhow::Result<String>);

/// In this order: leaders move for some time after a node has returned, and the cluster serves
/// nothing after the last check.
const CHECKS: &[Check] = &[
    ("the parts of the scripts do what they say", scripts::self_test),
    ("smoke passes", scripts::smoke),
    ("correctness passes", scripts::correctness),
    ("every other script runs", scripts::others),
    ("failover fails when nothing happens to the cluster", failures::nothing_killed),
    ("failover passes while a node that leads is killed", failover::leader_killed),
    ("a closed port fails at once", failures::closed_port),
    ("a limit that no cluster can keep fails", failures::impossible_limit),
    ("breakpoint names the rate that broke", failures::breaks),
    ("correctness says that it was cut short", failures::cut_short),
    ("correctness finds a gateway that forgets conditions and keys", failures::forgetful_gateway),
    ("failover finds lost writes", failures::lost_writes),
    ("failover fails when a majority is killed", failures::majority_killed),
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut test = Test::start()?;
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS.iter().filter(|(name, _)| name.contains(&arguments.only)) {
        match check(&mut test) {
            Ok(found) => {
                passed += 1;
                println!("ok      {name}{found}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    drop(test);
    println!("{passed} passed, {failed} failed");
    anyhow::ensure!(failed == 0, "a load test does not do what it should");
    Ok(())
}

impl Test {
    fn start() -> anyhow::Result<Self> {
        // Report a missing k6 before a cluster is started.
        let k6 = K6::find()?;
        let folder = TempDir::with_prefix("ringkv-loadtests-").context("create a folder")?;
        let mut cluster = Cluster::start(folder)?;
        let gateways = [cluster.gateway(), cluster.second_gateway()?];
        Ok(Self { cluster, gateways, k6 })
    }

    /// Both gateways, in the form that the scripts expect.
    fn base_url(&self) -> String {
        self.gateways.map(|gateway| format!("http://{gateway}")).join(",")
    }
}
