//! `cargo xtask containers`: tests the compose cluster as a reader of the README would use it.
//!
//! Builds the image from the programs built before and starts ringkv's services of the compose file
//! (the observability services use public images, which may be unavailable). Runs the README's curl
//! lines word for word, kills a container, cuts one off the network, stops and starts everything,
//! and checks after each step that every acknowledged write is present. Uses free host ports, except
//! for the README's lines, which name theirs. Touches its own containers only, and removes them,
//! their network and their volumes on every exit.

mod cluster;
mod data;
mod readme;
mod shape;

use anyhow::Context as _;

use cluster::Cluster;
use data::Data;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the cluster running at the end, for inspection
    #[arg(long)]
    keep: bool,
}

/// What the checks share.
struct Test {
    cluster: Cluster,
    data: Data,
}

type Check = (&'static str, fn(&mut Test) -> anyhow::Result<()>);

/// In this order: each check continues with the state that the previous one left.
const CHECKS: &[Check] = &[
    ("every container starts and becomes healthy", |test| {
        test.cluster.up()?;
        test.cluster.wait_healthy()
    }),
    ("the gateways pull in all they need and no more", |test| shape::check_services(&test.cluster)),
    ("containers run without root on a read-only file system", |test| shape::check(&test.cluster)),
    ("the curl lines of the README print what it shows", |test| {
        test.cluster.on_readme_ports(readme::check)
    }),
    ("the first node's metrics are on localhost", |test| {
        data::check_metrics(test.cluster.ports().metrics)
    }),
    ("values written through one gateway are read through the other", |test| {
        test.data.write(300)?;
        test.data.check()
    }),
    ("a killed container costs no request and no write", killed),
    ("a container cut off the network costs no request and no write", cut_off),
    ("a stop is clean and a start brings everything back", stopped_and_started),
];

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::prepare(arguments.keep)?;
    let data = Data::new(cluster.ports().gateways);
    let mut test = Test { cluster, data };
    let (mut passed, mut failed) = (0, 0);
    for (name, check) in CHECKS {
        match check(&mut test) {
            Ok(()) => {
                passed += 1;
                println!("ok      {name}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
                test.cluster.print_logs();
                break;
            }
        }
    }
    drop(test);
    println!("{passed} passed, {failed} failed");
    anyhow::ensure!(failed == 0, "a container test failed");
    Ok(())
}

fn killed(test: &mut Test) -> anyhow::Result<()> {
    let victim = "storage-node-2";
    test.cluster.kill(victim)?;
    test.data.write(300).context("while a node is dead")?;
    test.data.check().context("while a node is dead")?;
    test.cluster.start_again(victim)?;
    test.cluster.wait_healthy()?;
    test.data.check().context("after the node came back")
}

fn cut_off(test: &mut Test) -> anyhow::Result<()> {
    let victim = "storage-node-3";
    test.cluster.disconnect(victim)?;
    test.data.write(300).context("while a node is cut off")?;
    test.data.check().context("while a node is cut off")?;
    test.cluster.connect(victim)?;
    test.cluster.wait_healthy()?;
    test.data.check().context("after the node is back")
}

fn stopped_and_started(test: &mut Test) -> anyhow::Result<()> {
    test.cluster.stop()?;
    shape::check_clean_exits(&test.cluster)?;
    test.cluster.up()?;
    test.cluster.wait_healthy()?;
    test.data.check()
}
