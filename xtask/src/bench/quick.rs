//! The quick comparison: rounds of both stores in turn, each with PUT then GET, and a last short
//! run per store that counts syncs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::etcd::Etcd;
use super::generator::{self, Load};
use super::report::{Row, Syncs, print};
use super::store::{Operation, Store};
use super::syncs::SyncCount;
use crate::cluster::Cluster;
use crate::process::cpu_time;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Measured seconds of each run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds of warm-up before each measured run
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up: u64,
    /// Rounds; each runs both stores with fresh data
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// Keep-alive connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Size of each value
    #[arg(long, default_value_t = 256)]
    value_bytes: usize,
    /// Number of keys; all are written once before the first measurement
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Folder for the data directories, on a real disk [default: cargo's target folder]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Measure only this store
    #[arg(long, value_enum)]
    only: Option<Which>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    Ringkv,
    Etcd,
}

impl Arguments {
    fn load(&self, operation: Operation, seed: u64) -> Load {
        Load {
            operation,
            connections: self.connections,
            keys: self.keys,
            value_bytes: self.value_bytes,
            seed,
        }
    }

    fn start(&self, which: Which) -> anyhow::Result<Box<dyn Store>> {
        let parent = match &self.folder {
            Some(folder) => folder.clone(),
            None => workspace::target()?,
        };
        let folder = TempDir::with_prefix_in("ringkv-bench-", parent)
            .context("create a folder for the data")?;
        Ok(match which {
            Which::Ringkv => Box::new(Cluster::start(folder)?),
            Which::Etcd => Box::new(Etcd::start(folder)?),
        })
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(arguments.connections > 0 && arguments.keys > 0, "connections and keys start at 1");
    let mut rows = Vec::new();
    let mut syncs = Vec::new();
    for round in 0..arguments.rounds {
        // The first store alternates, so that a drift over time affects both equally.
        let order = match round % 2 {
            0 => [Which::Ringkv, Which::Etcd],
            _ => [Which::Etcd, Which::Ringkv],
        };
        for which in order.into_iter().filter(|which| arguments.only.is_none_or(|o| o == *which)) {
            let store = arguments.start(which)?;
            generator::fill(&*store, arguments.load(Operation::Put, round))?;
            for operation in [Operation::Put, Operation::Get] {
                let row = measure(arguments, &*store, operation, round)?;
                println!("{row}");
                rows.push(row);
            }
            if round + 1 == arguments.rounds {
                syncs.push(count_syncs(arguments, &*store)?);
            }
        }
    }
    print(&rows, &syncs);
    Ok(())
}

fn measure(
    arguments: &Arguments,
    store: &dyn Store,
    operation: Operation,
    round: u64,
) -> anyhow::Result<Row> {
    let load = arguments.load(operation, round + 1);
    let what = || format!("{} {}", store.name(), operation.name());
    generator::run(store, load, Duration::from_secs(arguments.warm_up)).with_context(what)?;
    let processes = store.processes();
    let before = cpu_time(&processes)?;
    let mut outcome =
        generator::run(store, load, Duration::from_secs(arguments.seconds)).with_context(what)?;
    let cpu = cpu_time(&processes)?.saturating_sub(before);
    Ok(Row {
        round,
        store: store.name(),
        operation,
        per_second: outcome.per_second(),
        p50_ms: outcome.latencies.quantile_ms(0.5),
        p99_ms: outcome.latencies.quantile_ms(0.99),
        cpu_s_per_100k: cpu.as_secs_f64() * 100_000.0 / outcome.latencies.len() as f64,
    })
}

/// Three seconds of PUT under strace.
fn count_syncs(arguments: &Arguments, store: &dyn Store) -> anyhow::Result<Syncs> {
    let load = arguments.load(Operation::Put, u64::MAX);
    let count = SyncCount::start(&store.processes())?;
    let outcome = generator::run(store, load, Duration::from_secs(3))?;
    Ok(Syncs { store: store.name(), calls: count.stop()?, puts: outcome.latencies.len() })
}
