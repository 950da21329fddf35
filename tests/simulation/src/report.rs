//! Runs seeds: one, or many on several threads, and reports the results.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use crate::coverage::Coverage;
use crate::trace::Trace;
use crate::violation::Violation;
use crate::world::World;

/// How to run a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Keep the last events as text for the reader; slower.
    pub in_words: bool,
}

/// The result of one seed.
#[derive(Clone, Debug)]
pub struct Report {
    pub seed: u64,
    /// The hash over every event: equal for equal seeds.
    pub trace_hash: u64,
    pub coverage: Coverage,
    pub violation: Option<Violation>,
    /// The last events, if requested.
    pub lines: Vec<String>,
}

/// A failed seed, described as text.
#[derive(Clone, Debug)]
pub struct Failure(Report);

/// The result of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub runs: u64,
    pub coverage: Coverage,
    /// In order of seeds.
    pub failures: Vec<Failure>,
}

/// Runs one seed from empty disks to the last check.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = World::new(seed, options.in_words);
    // A failed assertion of the system under test is a finding too.
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match result {
        Ok(result) => result.err(),
        Err(panic) => Some(Violation::panicked(panic.as_ref())),
    };
    let trace: &mut Trace = &mut world.trace;
    Report {
        seed,
        trace_hash: trace.hash(),
        coverage: world.coverage,
        violation,
        lines: trace.take_lines(),
    }
}

/// Runs all seeds of a range on this many threads; runs failed ones again to record their last
/// events. Starts no more seeds after `failures_max` have failed.
pub fn run_many(seeds: Range<u64>, threads: usize, failures_max: usize) -> Summary {
    let mut summary = Summary::default();
    run_all(seeds, threads, failures_max, |report| {
        summary.runs += 1;
        summary.coverage += report.coverage;
        if report.violation.is_some() {
            summary.failures.push(Failure(report));
        }
    });
    summary.failures.sort_by_key(Failure::seed);
    summary
}

/// The trace hash of each seed of a range, in order of seeds: it must stay the same when code
/// moves and its behaviour does not change.
pub fn trace_hashes(seeds: Range<u64>, threads: usize) -> Vec<(u64, u64)> {
    let mut hashes = Vec::new();
    run_all(seeds, threads, usize::MAX, |report| hashes.push((report.seed, report.trace_hash)));
    hashes.sort_unstable();
    hashes
}

/// Runs the seeds on this many threads and passes on each report as it arrives.
fn run_all(seeds: Range<u64>, threads: usize, failures_max: usize, mut take: impl FnMut(Report)) {
    let next = AtomicU64::new(seeds.start);
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (reports, results) = sync_channel(threads);
        for _ in 0..threads {
            let reports = reports.clone();
            let (next, failed) = (&next, &failed);
            scope.spawn(move || {
                while failed.load(Ordering::Relaxed) < failures_max {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let mut report = run(seed, Options::default());
                    if report.violation.is_some() {
                        failed.fetch_add(1, Ordering::Relaxed);
                        report = run(seed, Options { in_words: true });
                    }
                    reports.send(report).expect("results are taken until all threads end");
                }
            });
        }
        drop(reports);
        results.into_iter().for_each(&mut take);
    });
}

impl Failure {
    /// The seed that failed.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The failure of a report, if it has one.
    pub fn of(report: Report) -> Option<Self> {
        report.violation.is_some().then_some(Self(report))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        for line in &report.lines {
            writeln!(f, "{line}")?;
        }
        if let Some(violation) = &report.violation {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        write!(f, "again with: cargo xtask simulate --seed {}", report.seed)
    }
}
