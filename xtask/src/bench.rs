//! `cargo xtask bench quick`: ours beside etcd on this machine, in one run.
//!
//! Both are three members that fsync every acknowledged write on a quorum; both are driven over
//! HTTP/1.1 by the same generator with the same connections, keys and values: etcd through its own
//! JSON gateway, ours through a gateway process. Rounds are interleaved, each with fresh data
//! directories, and the order within a round alternates. Numbers are for this machine at this
//! hour: only the ratios within one run say anything.

mod etcd;
mod generator;
mod latency;
mod quick;
mod report;
mod ringkv;
mod store;
mod syncs;

use clap::Subcommand;

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
    let What::Quick(arguments) = arguments.what;
    quick::run(&arguments)
}
