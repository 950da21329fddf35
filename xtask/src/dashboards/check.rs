//! `cargo xtask dashboards check`: what can be seen in the files.
//!
//! Asks promtool about rules, tests and the scrape configuration, and looks itself at what promtool
//! and Grafana would let pass: a panel without a unit, an alert without a page, a metric that
//! nothing exports.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::board::Board;
use super::files::{self, BoardFile};
use super::rules::{self, Rules};
use super::{Checked, boards, expressions, grafana};
use crate::workspace;

const RUNBOOKS: &str = "docs/runbooks";
const RUNBOOK_URL: &str = "https://github.com/ringkv/ringkv/blob/main/docs/runbooks/";

/// Every check that needs only the tree.
pub(super) fn all() -> anyhow::Result<Vec<Checked>> {
    let root = workspace::root();
    let boards = files::boards(&root)?;
    let rules = Rules::read(&root)?;
    let listed = files::documented_metrics(&root)?;
    Ok(vec![
        Checked::new("the JSON of the boards is what their definitions give", stale(&boards)),
        Checked::new("every panel has a unit, a description and its data source", panels(&boards)),
        Checked::new("ids are unique, variables and links lead somewhere", references(&boards)),
        Checked::new(
            "every metric on a board is in docs/metrics.md",
            named(&boards, &rules, &listed),
        ),
        Checked::new("every metric in a rule is in docs/metrics.md", used(&rules, &listed)),
        Checked::new("promtool accepts rules and configuration", promtool_check(&root)?),
        Checked::new("promtool's tests of the rules pass", promtool_test(&root)?),
        Checked::new("every alert says what to do and has its page", alerts(&root, &rules)?),
        Checked::new("every alert is tested firing and not firing", tested(&root, &rules)?),
    ])
}

fn stale(files: &[BoardFile]) -> Vec<String> {
    let all = boards::all();
    let mut complaints = Vec::new();
    for board in &all {
        let written: Option<Value> = serde_json::from_str(&grafana::text(board, &all)).ok();
        let file = files.iter().find(|file| file.name == board.file());
        if file.map(|file| &file.value) != written.as_ref() {
            complaints.push(format!("{}: run `cargo xtask dashboards write`", board.file()));
        }
    }
    let known: BTreeSet<String> = all.iter().map(Board::file).collect();
    let strays = files.iter().filter(|file| !known.contains(&file.name));
    complaints.extend(strays.map(|file| format!("{} has no definition", file.name)));
    complaints
}

fn panels(boards: &[BoardFile]) -> Vec<String> {
    let mut complaints = Vec::new();
    for board in boards {
        for panel in board.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            let mut want = |right: bool, what: &str| {
                if !right {
                    complaints.push(format!("{}: panel {title:?} has no {what}", board.name));
                }
            };
            want(!title.is_empty(), "title");
            want(panel["fieldConfig"]["defaults"]["unit"].is_string(), "unit");
            want(panel["description"].as_str().is_some_and(|d| d.ends_with('.')), "description");
            want(panel["datasource"]["uid"] == "${datasource}", "data source variable");
            want(panel["targets"].as_array().is_some_and(|t| !t.is_empty()), "query");
        }
    }
    complaints
}

fn references(boards: &[BoardFile]) -> Vec<String> {
    let mut complaints = Vec::new();
    let uids: Vec<&str> = boards.iter().filter_map(|board| board.value["uid"].as_str()).collect();
    if uids.iter().collect::<BTreeSet<_>>().len() != boards.len() {
        complaints.push(format!("boards share a uid: {uids:?}"));
    }
    for board in boards {
        let panels = board.value["panels"].as_array().into_iter().flatten();
        let ids: Vec<&Value> = panels.map(|panel| &panel["id"]).collect();
        if ids.iter().map(|id| id.to_string()).collect::<BTreeSet<_>>().len() != ids.len() {
            complaints.push(format!("{}: panels share an id", board.name));
        }
        let names: Vec<&str> = board.variables().filter_map(|v| v["name"].as_str()).collect();
        for (title, expression) in board.expressions() {
            for variable in expressions::variables(expression) {
                if !names.contains(&variable) {
                    complaints.push(format!("{}: {title:?} uses ${variable}", board.name));
                }
            }
        }
        let text = board.value.to_string();
        for uid in text.split("\"/d/").skip(1).filter_map(|rest| rest.split(['?', '"']).next()) {
            if !uids.contains(&uid) {
                complaints.push(format!("{}: there is no board {uid}", board.name));
            }
        }
    }
    complaints
}

fn named(boards: &[BoardFile], rules: &Rules, listed: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for board in boards {
        for (title, expression) in board.expressions() {
            for metric in unknown(expression, rules, listed) {
                complaints.push(format!("{}: {title:?} names {metric}", board.name));
            }
        }
    }
    complaints
}

fn used(rules: &Rules, listed: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (rule, expression) in rules.expressions() {
        for metric in unknown(expression, rules, listed) {
            complaints.push(format!("{rule} names {metric}"));
        }
    }
    complaints
}

/// The metrics of an expression that are neither listed nor recorded by a rule.
fn unknown<'a>(
    expression: &'a str,
    rules: &Rules,
    listed: &BTreeSet<String>,
) -> impl Iterator<Item = &'a str> {
    expressions::metrics(expression).into_iter().filter(|metric| {
        let is_recorded = rules.recorded.iter().any(|rule| rule.name == **metric);
        !is_recorded && !listed.contains(files::listed_name(metric, listed))
    })
}

fn promtool_check(root: &Path) -> anyhow::Result<Vec<String>> {
    let rules = rules::paths(root, "rules")?;
    let mut complaints = promtool(Command::new("promtool").args(["check", "rules"]).args(rules))?;
    let config = root.join(rules::FOLDER).join("prometheus.yml");
    complaints.extend(promtool(Command::new("promtool").args(["check", "config"]).arg(config))?);
    Ok(complaints)
}

fn promtool_test(root: &Path) -> anyhow::Result<Vec<String>> {
    let tests = rules::paths(root, "tests")?;
    promtool(Command::new("promtool").args(["test", "rules"]).args(tests))
}

/// What promtool printed, when it did not like something.
fn promtool(command: &mut Command) -> anyhow::Result<Vec<String>> {
    let output = command.output().context("run promtool: 'make setup' installs it")?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}

fn alerts(root: &Path, rules: &Rules) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for alert in &rules.alerts {
        let name = &alert.name;
        if !["page", "ticket"].contains(&&*alert.severity) {
            complaints.push(format!("{name}: the severity is neither page nor ticket"));
        }
        if alert.summary.is_empty() || alert.description.is_empty() {
            complaints.push(format!("{name}: a summary or a description is missing"));
        }
        if alert.runbook_url != format!("{RUNBOOK_URL}{name}.md") {
            complaints.push(format!("{name}: the runbook's address does not end with its name"));
        }
        let page = fs::read_to_string(root.join(RUNBOOKS).join(format!("{name}.md")));
        let page = page.unwrap_or_default();
        for heading in ["Means", "Users see", "Look first at", "Do", "False alarm when"] {
            if !page.contains(&format!("**{heading}**")) {
                complaints.push(format!("{RUNBOOKS}/{name}.md: nothing under {heading:?}"));
            }
        }
    }
    for entry in fs::read_dir(root.join(RUNBOOKS)).context("list the runbooks")? {
        let file = entry.context("list the runbooks")?.file_name();
        let name = file.to_string_lossy().trim_end_matches(".md").to_owned();
        if name != "README" && rules.alerts.iter().all(|alert| alert.name != name) {
            complaints.push(format!("{RUNBOOKS}/{name}.md: there is no such alert"));
        }
    }
    Ok(complaints)
}

fn tested(root: &Path, rules: &Rules) -> anyhow::Result<Vec<String>> {
    let expectations = rules::expectations(root)?;
    let mut complaints = Vec::new();
    for alert in &rules.alerts {
        for (fires, how) in [(true, "firing"), (false, "not firing")] {
            let is_tested = |expected: &rules::Expectation| {
                expected.alert == alert.name && expected.fires == fires
            };
            if !expectations.iter().any(is_tested) {
                complaints.push(format!("{} is not tested {how}", alert.name));
            }
        }
    }
    Ok(complaints)
}
