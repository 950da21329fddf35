//! The shipped system keeps its invariants, and the simulation is deterministic and covers faults.

use ringkv_simulation::{Options, run, run_many};

#[test]
fn a_seed_gives_the_same_run_twice() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let first = run(seed, Options::default());
        let second = run(seed, Options { in_words: true });
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert_eq!(first.coverage, second.coverage, "seed {seed}");
        hashes.insert(first.trace_hash);
    }
    assert_eq!(hashes.len(), 20, "different seeds are different runs");
}

/// An invariant counts as tested only under faults: each kind of fault must have occurred.
#[test]
fn many_seeds_keep_every_promise_and_meet_every_misfortune() {
    let summary = run_many(1_000..1_060, 2, 1);
    if let Some(failure) = summary.failures.first() {
        panic!("{failure}");
    }
    let seen = summary.coverage;
    assert_eq!(summary.runs, 60);
    let counts = [
        ("kills", seen.kills),
        ("stops", seen.stops),
        ("pauses", seen.pauses),
        ("cuts", seen.cuts),
        ("leader transfers", seen.transfers),
        ("leaderships returned", seen.returns),
        ("accused replicas", seen.accusations),
        ("wrong states", seen.wrong_states),
        ("wrong states found", seen.wrong_states_found),
        ("nodes that joined", seen.joins),
        ("nodes drained", seen.drains),
        ("lost disks", seen.wipes),
        ("replicas destroyed", seen.destroyed),
        ("lost frames", seen.frames_lost),
        ("doubled frames", seen.frames_duplicated),
        ("compactions", seen.compactions),
        ("snapshots installed", seen.installs),
        ("reads of old log entries", seen.fetches),
        ("reads by lease", seen.lease_reads),
        ("retries that had applied", seen.repeated),
        ("conditions that did not hold", seen.refused),
        ("unknown outcomes", seen.unknown),
        ("replies past the deadline", seen.late),
    ];
    for (what, count) in counts {
        assert!(count > 0, "no {what} in 60 runs");
    }
    assert!(seen.elections > 60 * 5, "{} elections", seen.elections);
    assert!(seen.answered * 10 > seen.operations * 9, "most operations end with an answer");
}
