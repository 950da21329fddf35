//! `cargo run -p ringkv-simulation -- --seeds 500`: seeds from the command line.
//!
//! With `--expect-violation` the run succeeds only if a seed fails: for a build with one of the
//! crate's `planted-…` features, whose bug must be found within these seeds.

use std::io::Write as _;
use std::ops::Range;

use anyhow::{bail, ensure};
use clap::Parser;
use ringkv_simulation::{Failure, Options, run, run_many, trace_hashes};

/// Simulates a whole cluster, its faults and its clients, from seeds.
#[derive(Parser)]
struct Args {
    /// Run this one seed and print its last events if it fails.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print the trace hash of each of these seeds, A to B - 1: equal before and after a change that
    /// changes no behaviour.
    #[arg(long, value_name = "A..B", value_parser = seed_range, conflicts_with_all = ["seed", "seeds"])]
    hashes: Option<Range<u64>>,
    /// Run this many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Number of seeds that run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stop after this many seeds have failed.
    #[arg(long, default_value_t = 3)]
    failures_max: usize,
    /// Succeed only if a seed fails: this build has a planted bug.
    #[arg(long)]
    expect_violation: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut out = std::io::stdout();
    if let Some(seed) = args.seed {
        let report = run(seed, Options { in_words: true });
        writeln!(out, "seed {seed}: trace {:016x}, {:?}", report.trace_hash, report.coverage)?;
        let Some(failure) = Failure::of(report) else { return Ok(()) };
        writeln!(out, "{failure}")?;
        bail!("seed {seed} failed");
    }
    if let Some(seeds) = args.hashes {
        for (seed, hash) in trace_hashes(seeds, args.threads) {
            writeln!(out, "{seed} {hash:016x}")?;
        }
        return Ok(());
    }
    let seeds = args.from..args.from + args.seeds;
    let failures_max = if args.expect_violation { 1 } else { args.failures_max };
    let summary = run_many(seeds.clone(), args.threads, failures_max);
    writeln!(out, "{} runs: {:?}", summary.runs, summary.coverage)?;
    for failure in &summary.failures {
        writeln!(out, "{failure}\n")?;
    }
    verdict(args.expect_violation, summary.failures.len(), &seeds)
}

fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let range =
        text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range
        .filter(|seeds| seeds.start < seeds.end)
        .ok_or_else(|| "say A..B with A below B".to_owned())
}

fn verdict(expect_violation: bool, failures: usize, seeds: &Range<u64>) -> anyhow::Result<()> {
    if expect_violation {
        ensure!(failures > 0, "the planted bug was not found by seeds {seeds:?}");
    } else {
        ensure!(failures == 0, "{failures} seeds failed");
    }
    Ok(())
}
