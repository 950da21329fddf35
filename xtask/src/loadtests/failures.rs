//! Runs that must fail, each for its own reason: they prove that the scripts detect failures.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::Test;
use super::failover::run_and_kill;
use super::forgery::Forger;
use super::k6::{check_failed, number};
use crate::ports::free_address;

/// The time limit of a script that cannot start.
const AT_ONCE: Duration = Duration::from_secs(10);

pub(super) fn closed_port(test: &mut Test) -> anyhow::Result<String> {
    let closed = format!("http://{}", free_address()?);
    let started = Instant::now();
    let run = test.k6.run("smoke", &closed, &[("READY_SECONDS", "0.5")])?;
    run.failed_saying("is not ready after 0.5 s")?;
    ensure!(started.elapsed() < AT_ONCE, "it took {} s", started.elapsed().as_secs());
    Ok(String::new())
}

pub(super) fn impossible_limit(test: &mut Test) -> anyhow::Result<String> {
    let settings = [("DURATION", "1s"), ("P99_MS", "0.001")];
    let run = test.k6.run("smoke", &test.base_url(), &settings)?;
    let rules = run.failed()?["thresholds"].as_array().cloned().unwrap_or_default();
    let broken: Vec<_> = rules.iter().filter(|rule| rule["ok"] == false).collect();
    ensure!(
        broken.len() == 1 && broken[0]["rule"] == "p(99)<0.001",
        "expected one broken threshold, found {broken:?}"
    );
    Ok(String::new())
}

pub(super) fn breaks(test: &mut Test) -> anyhow::Result<String> {
    let settings = [
        ("DURATION", "1s"),
        ("STEP_RATE", "50"),
        ("STEPS", "20"),
        ("VUS", "50"),
        ("RECORDS", "50"),
        ("P99_MS", "0.001"),
    ];
    let run = test.k6.run("breakpoint", &test.base_url(), &settings)?;
    let summary = run.failed()?;
    ensure!(number(summary, "/conclusion/held_per_second") == 0.0, "{}", summary["conclusion"]);
    ensure!(number(summary, "/seconds") < 15.0, "it went on after it broke");
    Ok(String::new())
}

/// Removes each header on which a promise depends, in turn, between k6 and the gateway.
pub(super) fn forgetful_gateway(test: &mut Test) -> anyhow::Result<String> {
    const PROMISES: &[(&str, &str)] = &[
        ("If-Match: ", "the counters add up to the increments"),
        ("If-None-Match: ", "a key is created by one writer only"),
        ("Idempotency-Key: ", "all answers but one say that they repeat it"),
    ];
    for (header, promise) in PROMISES {
        let forged = header.replacen('I', "X", 1);
        let forger = Forger::start(test.gateways[0], header, &forged)?;
        let run = test.k6.run("correctness", &forger.base_url(), &[("COUNT", "5")])?;
        let summary = run.failed()?;
        ensure!(
            check_failed(summary, promise),
            "without {header} nothing is wrong with: {promise}"
        );
    }
    Ok(String::new())
}

/// Counters that do not add up because time ran out must not look like a broken promise.
pub(super) fn cut_short(test: &mut Test) -> anyhow::Result<String> {
    let settings = [("DURATION", "1s"), ("COUNT", "100000")];
    let run = test.k6.run("correctness", &test.base_url(), &settings)?;
    let words = run.failed()?.pointer("/conclusion/words").and_then(|words| words.as_str());
    ensure!(words.is_some_and(|words| words.contains("not all rounds")), "it says {words:?}");
    Ok(String::new())
}

/// Writes go to a key other than the one that is read.
pub(super) fn lost_writes(test: &mut Test) -> anyhow::Result<String> {
    let forger = Forger::start(test.gateways[0], "PUT /kv/loadtest/", "PUT /kv/lostwork/")?;
    let settings = [("DURATION", "1s"), ("VUS", "4")];
    let run = test.k6.run("failover", &forger.base_url(), &settings)?;
    let lost = number(run.failed()?, "/values/lost_writes/count");
    ensure!(lost > 0.0, "no write was missed");
    Ok(format!(": {lost} of them"))
}

pub(super) fn nothing_killed(test: &mut Test) -> anyhow::Result<String> {
    let run = test.k6.run("failover", &test.base_url(), &[("DURATION", "1s"), ("VUS", "4")])?;
    let summary = run.failed()?;
    ensure!(number(summary, "/values/leaders_moved/count") == 0.0, "a leader changed");
    ensure!(number(summary, "/values/lost_writes/count") == 0.0, "a write was lost");
    Ok(String::new())
}

pub(super) fn majority_killed(test: &mut Test) -> anyhow::Result<String> {
    let settings = [("DURATION", "4s"), ("RECOVERY_S", "2"), ("TIMEOUT_MS", "1000")];
    let (run, _) = run_and_kill(test, &settings, 2)?;
    let summary = run.failed()?;
    let error_rate = number(summary, "/error_rate");
    let recovery = number(summary, "/conclusion/recovery_seconds");
    ensure!(error_rate > 0.0, "no request failed");
    ensure!(recovery >= 2.0, "writes went on after {recovery} s");
    Ok(String::new())
}
