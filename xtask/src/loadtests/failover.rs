//! The failover script, with a node killed during its run.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Test;
use super::k6::{Run, number};
use crate::process::wait_until;

/// The number of writes before a node is killed: then the script runs at its full rate.
const WRITES_BEFORE: u64 = 200;
const WRITES_LIMIT: Duration = Duration::from_secs(30);

/// Kills the node that leads most groups with SIGKILL: no request may fail, no write may be lost.
pub(super) fn leader_killed(test: &mut Test) -> anyhow::Result<String> {
    let (run, victim) = run_and_kill(test, &[("DURATION", "7s")], 1)?;
    for node in victim {
        test.cluster.start_again(node)?;
    }
    let summary = run.passed()?;
    let requests = number(summary, "/requests");
    let error_rate = number(summary, "/error_rate");
    let recovery = number(summary, "/conclusion/recovery_seconds");
    let acknowledged = number(summary, "/values/acknowledged_writes/count");
    let verified = number(summary, "/values/verified_writes/count");
    ensure!(requests > 1000.0, "only {requests} requests were made");
    ensure!(error_rate == 0.0, "a share of {error_rate} of the requests failed");
    ensure!((0.0..5.0).contains(&recovery), "it took {recovery} s to recover");
    ensure!(acknowledged > 0.0 && verified == acknowledged, "{verified} of {acknowledged} read");
    Ok(format!(
        ": {requests} requests, 0 failed, {acknowledged} writes kept, {recovery} s to recover"
    ))
}

/// Starts the script, kills this many nodes when it runs at its full rate, and waits for its end.
pub(super) fn run_and_kill(
    test: &mut Test,
    settings: &[(&str, &str)],
    nodes: usize,
) -> anyhow::Result<(Run, Vec<usize>)> {
    let before = puts(test)?;
    let mut running = test.k6.start("failover", &test.base_url(), settings)?;
    wait_until("the failover script", WRITES_LIMIT, || {
        running.check()?;
        Ok((puts(test)? > before + WRITES_BEFORE).then_some(()))
    })?;
    let killed = (0..nodes).map(|_| test.cluster.kill_leader()).collect::<Result<_, _>>()?;
    Ok((running.wait()?, killed))
}

/// The number of writes that the first gateway has answered so far.
fn puts(test: &Test) -> anyhow::Result<u64> {
    let metrics = String::from_utf8(test.cluster.page("/metrics")?).context("read metrics")?;
    Ok(count_puts(&metrics))
}

fn count_puts(metrics: &str) -> u64 {
    metrics
        .lines()
        .filter(|line| line.starts_with("ringkv_gateway_requests_total{"))
        .filter(|line| line.contains("method=\"PUT\""))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::count_puts;

    #[test]
    fn the_puts_of_all_answers_are_added() {
        let metrics = "# HELP ringkv_gateway_requests_total Requests.\n\
             ringkv_gateway_requests_total{code=\"201\",method=\"PUT\",route=\"/kv\"} 7\n\
             ringkv_gateway_requests_total{code=\"204\",method=\"PUT\",route=\"/kv\"} 5\n\
             ringkv_gateway_requests_total{code=\"200\",method=\"GET\",route=\"/kv\"} 9\n";
        assert_eq!(count_puts(metrics), 12);
    }
}
