//! `cargo xtask dashboards live`: boards and rules against a real Prometheus that scrapes a cluster
//! under load.
//!
//! Each check repeats until it passes or its time is over, because data appears one scrape after
//! the other. `EMPTY` lists what must be empty in a healthy cluster, each with its reason; a listed
//! entry that has data fails the check, like an unlisted one that has none.

mod exceptions;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use super::files::{self, BoardFile};
use super::prometheus::Prometheus;
use super::rules::Rules;
use super::scene::Scene;
use super::{Checked, expressions};
use crate::workspace;
use exceptions::{ABSENT, EMPTY, NO_SERIES, PENDING, find};

/// The time limit of all checks together, from the start of the load.
const LIMIT: Duration = Duration::from_secs(75);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Every check that needs the running cluster.
pub(super) fn all() -> anyhow::Result<Vec<Checked>> {
    let root = workspace::root()?;
    let boards = files::boards(&root)?;
    let rules = Rules::read(&root)?;
    let listed = files::documented_metrics(&root)?;
    let scene = Scene::start()?;
    let deadline = Instant::now() + LIMIT;
    let prometheus = &scene.prometheus;

    let mut checks = Vec::new();
    let mut check = |what: String, look: &dyn Fn() -> anyhow::Result<Vec<String>>| {
        checks.push(Checked::new(what, settle(deadline, look)));
    };
    check("every process is scraped".to_owned(), &|| down(prometheus));
    for board in &boards {
        let title = board.value["title"].as_str().unwrap_or_default();
        check(format!("every expression of the board {title:?} returns data"), &|| {
            Ok(empty_panels(prometheus, board))
        });
    }
    check("every variable of a board has values".to_owned(), &|| {
        Ok(boards.iter().flat_map(|board| empty_variables(prometheus, board)).collect())
    });
    check("every recorded rule has data".to_owned(), &|| Ok(unrecorded(prometheus, &rules)));
    check("every selector of an alert finds series".to_owned(), &|| Ok(blind(prometheus, &rules)));
    check("no rule fails, and no alert is on its way".to_owned(), &|| restless(prometheus));
    check("every metric exported is in docs/metrics.md".to_owned(), &|| {
        Ok(unlisted(&exported(prometheus)?, &listed))
    });
    check("every metric in docs/metrics.md is exported".to_owned(), &|| {
        Ok(unexported(&exported(prometheus)?, &listed))
    });
    check("exemplars lead from a request's time to its trace".to_owned(), &|| {
        without_exemplars(prometheus)
    });
    let ended = scene.end().err().map(|error| format!("{error:#}"));
    checks.push(Checked::new("the load met no error", ended.into_iter().collect()));
    Ok(checks)
}

/// The complaints left at the deadline; returns early when there are none.
fn settle(deadline: Instant, look: &dyn Fn() -> anyhow::Result<Vec<String>>) -> Vec<String> {
    loop {
        let complaints = look().unwrap_or_else(|error| vec![format!("{error:#}")]);
        if complaints.is_empty() || Instant::now() >= deadline {
            return complaints;
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

fn down(prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let data = prometheus.get("/api/v1/targets")?;
    let targets = data["activeTargets"].as_array().context("read the targets")?;
    let ill = targets.iter().filter(|target| target["health"] != "up");
    Ok(ill.map(|target| format!("{}: {}", target["labels"], target["lastError"])).collect())
}

/// Whether the expression returns a number; an error of Prometheus is a complaint.
fn has_data(prometheus: &Prometheus, expression: &str) -> Result<bool, String> {
    let samples = prometheus.query(expression).map_err(|error| format!("{error:#}"))?;
    Ok(samples.iter().any(|sample| sample["value"][1].as_str().is_some_and(|v| v != "NaN")))
}

/// A complaint about an expression that should return data and does not, or the reverse.
fn wrong(
    prometheus: &Prometheus,
    place: &str,
    expression: &str,
    must_be_empty: Option<&str>,
) -> Option<String> {
    match (has_data(prometheus, expression), must_be_empty) {
        (Ok(true), None) | (Ok(false), Some(_)) => None,
        (Ok(false), None) => Some(format!("{place}: no data: {expression}")),
        (Ok(true), Some(reason)) => Some(format!("{place}: has data although {reason}")),
        (Err(error), _) => Some(format!("{place}: {error}: {expression}")),
    }
}

fn empty_panels(prometheus: &Prometheus, board: &BoardFile) -> Vec<String> {
    let look = |(title, expression): (&str, &str)| {
        wrong(prometheus, title, &expressions::fill(expression), find(EMPTY, title))
    };
    board.expressions().into_iter().filter_map(look).collect()
}

fn empty_variables(prometheus: &Prometheus, board: &BoardFile) -> Vec<String> {
    let mut complaints = Vec::new();
    for variable in board.variables().filter(|variable| variable["type"] == "query") {
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let Some((metric, label)) = inside.and_then(|inside| inside.rsplit_once(", ")) else {
            complaints.push(format!("{}: not understood: {query}", board.name));
            continue;
        };
        let expression = format!("count by ({label}) ({metric})");
        complaints.extend(wrong(prometheus, &board.name, &expression, None));
    }
    complaints
}

fn unrecorded(prometheus: &Prometheus, rules: &Rules) -> Vec<String> {
    let look = |rule: &super::rules::Recorded| wrong(prometheus, "recorded", &rule.name, None);
    rules.recorded.iter().filter_map(look).collect()
}

fn blind(prometheus: &Prometheus, rules: &Rules) -> Vec<String> {
    let mut complaints = Vec::new();
    for (rule, expression) in rules.expressions() {
        for selector in expressions::selectors(expression) {
            let reason = NO_SERIES
                .iter()
                .find(|(part, _)| selector.contains(part))
                .map(|(_, reason)| *reason);
            complaints.extend(wrong(prometheus, rule, &format!("count({selector})"), reason));
        }
    }
    complaints
}

fn restless(prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let data = prometheus.get("/api/v1/rules")?;
    let mut complaints = Vec::new();
    for group in data["groups"].as_array().context("read the rules")? {
        for rule in group["rules"].as_array().context("read the rules of a group")? {
            let name = rule["name"].as_str().unwrap_or_default();
            if rule["health"] != "ok" {
                complaints.push(format!("{name}: {} {}", rule["health"], rule["lastError"]));
            }
            let may_be_pending = find(PENDING, name).is_some();
            match rule["state"].as_str() {
                Some("pending") if may_be_pending => {}
                Some("pending" | "firing") => {
                    complaints.push(format!("{name} is {}: {}", rule["state"], rule["alerts"]));
                }
                _ => {}
            }
        }
    }
    Ok(complaints)
}

/// The names of all series that our services export.
fn exported(prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let chosen = crate::http::percent_encode("{job=~\"ringkv-.*\", __name__!~\"up|scrape_.*\"}");
    let data = prometheus.get(&format!("/api/v1/series?match[]={chosen}"))?;
    let series = data.as_array().context("read the series")?;
    let name = |one: &Value| one["__name__"].as_str().map(str::to_owned);
    let mut names: Vec<String> = series.iter().filter_map(name).collect();
    names.retain(|name| !name.contains(':') && name != "ALERTS" && name != "ALERTS_FOR_STATE");
    names.sort();
    names.dedup();
    Ok(names)
}

fn unlisted(exported: &[String], listed: &std::collections::BTreeSet<String>) -> Vec<String> {
    let stray = |name: &&String| !listed.contains(files::listed_name(name, listed));
    exported.iter().filter(stray).cloned().collect()
}

fn unexported(exported: &[String], listed: &std::collections::BTreeSet<String>) -> Vec<String> {
    let gone = |name: &&String| {
        find(ABSENT, name).is_none()
            && !exported.iter().any(|series| files::listed_name(series, listed) == **name)
    };
    listed.iter().filter(gone).cloned().collect()
}

fn without_exemplars(prometheus: &Prometheus) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for metric in ["ringkv_gateway_request_seconds_bucket", "raft_request_latency_seconds_bucket"] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let path = format!(
            "/api/v1/query_exemplars?query={metric}&start={}&end={}",
            now - LIMIT.as_secs() * 2,
            now + 1
        );
        let data = prometheus.get(&path)?;
        let series = data.as_array().into_iter().flatten();
        let mut exemplars =
            series.flat_map(|one| one["exemplars"].as_array().into_iter().flatten());
        if !exemplars.any(|one| one["labels"]["trace_id"].as_str().is_some_and(|id| id.len() == 32))
        {
            complaints.push(format!("{metric} has no exemplar with a trace_id"));
        }
    }
    Ok(complaints)
}
