//! `cargo xtask bench quick`: compares ringkv with etcd on this machine, in one run.
//!
//! Both have three members that fsync every acknowledged write on a quorum. The same generator
//! drives both over HTTP/1.1 with the same connections, keys and values: etcd through its own JSON
//! gateway, ringkv through a gateway process. Rounds are interleaved, each with fresh data
//! directories, and the order within a round alternates. The absolute numbers hold for this machine
//! at this time only: compare the ratios within one run.

mod etcd;
mod generator;
mod latency;
mod quick;
mod report;
mod ringkv;
mod store;
mod syncs;

use std::env;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// PUT and linearizable GET against etcd, closed loop, in a few minutes
    Quick(quick::Arguments),
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        return run_optimized();
    }
    // The programs that are there may have been built for daily work.
    let mut build = workspace::optimized_cargo()?;
    finish(build.args(["build", "--quiet", "--locked", "--workspace", "--bins"]))?;
    let What::Quick(arguments) = arguments.what;
    quick::run(&arguments)
}

/// Calls this program again as it ships: its load generator shares the processors with the stores.
fn run_optimized() -> anyhow::Result<()> {
    let mut again = workspace::optimized_cargo()?;
    again.args(["run", "--quiet", "--locked", "--package", "xtask", "--"]);
    finish(again.args(env::args_os().skip(1)))
}

fn finish(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("run cargo")?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
