//! The runs of scripts that must pass.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, ensure};

use super::Test;
use super::k6::{Setting, number};
use crate::workspace;

/// Limits on times that also hold on a busy machine: these runs do not check speed.
const PATIENT: &[Setting<'_>] =
    &[("P99_MS", "10000"), ("COLD_P99_MS", "10000"), ("SLOWDOWN", "1000")];

/// Scripts with a check of their own.
const ALONE: &[&str] = &["self-test", "smoke", "correctness", "failover"];

/// All other scripts, with the settings that make them short.
const SHORT: &[(&str, &[Setting<'_>])] = &[
    ("put-heavy", &[]),
    ("read-heavy", &[]),
    ("ycsb-a", &[]),
    ("ycsb-b", &[("RATE", "200")]),
    ("ycsb-c", &[]),
    ("ycsb-d", &[]),
    ("ycsb-f", &[]),
    ("large-values", &[("RECORDS", "4")]),
    ("hot-key", &[]),
    ("spike", &[("RATE", "20"), ("SPIKE_RATE", "100")]),
    ("soak", &[]),
    ("breakpoint", &[("STEP_RATE", "50"), ("STEPS", "2"), ("VUS", "50")]),
];

/// A run with fewer requests is not a load test, even a short one.
const REQUESTS_MIN: f64 = 30.0;

pub(super) fn self_test(test: &mut Test) -> anyhow::Result<String> {
    test.k6.run("self-test", &test.base_url(), &[])?.ended_well()?;
    Ok(String::new())
}

pub(super) fn smoke(test: &mut Test) -> anyhow::Result<String> {
    let settings = [("DURATION", "2s"), ("P99_MS", "10000")];
    let run = test.k6.run("smoke", &test.base_url(), &settings)?;
    let requests = number(run.passed()?, "/requests");
    ensure!(requests > REQUESTS_MIN, "only {requests} requests were made");
    Ok(format!(": {requests} requests"))
}

pub(super) fn correctness(test: &mut Test) -> anyhow::Result<String> {
    let run = test.k6.run("correctness", &test.base_url(), &[("COUNT", "20")])?;
    let conflicts = number(run.passed()?, "/values/conflicts/count");
    ensure!(conflicts > 0.0, "no two increments met: nothing was tested");
    Ok(format!(": {conflicts} conflicts resolved"))
}

pub(super) fn others(test: &mut Test) -> anyhow::Result<String> {
    all_are_named()?;
    for (script, own) in SHORT {
        let short = [("DURATION", "1s"), ("RECORDS", "50")];
        // Of two settings with one name k6 uses the last.
        let settings = [PATIENT, &short, own].concat();
        let run = test.k6.run(script, &test.base_url(), &settings)?;
        let requests = number(run.passed()?, "/requests");
        ensure!(requests > REQUESTS_MIN, "{script}: only {requests} requests were made");
    }
    Ok(format!(": {} scripts", SHORT.len()))
}

/// Checks that the lists above contain every script.
fn all_are_named() -> anyhow::Result<()> {
    let folder = fs::read_dir(workspace::root()?.join("loadtests")).context("list the scripts")?;
    let mut there = BTreeSet::new();
    for entry in folder {
        let name = entry.context("list the scripts")?.file_name();
        if let Some(script) = name.to_str().and_then(|name| name.strip_suffix(".js")) {
            there.insert(script.to_owned());
        }
    }
    let named = ALONE.iter().copied().chain(SHORT.iter().map(|(script, _)| *script));
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    let different: Vec<_> = there.symmetric_difference(&named).collect();
    ensure!(different.is_empty(), "in the folder or in the stage, but not in both: {different:?}");
    Ok(())
}
