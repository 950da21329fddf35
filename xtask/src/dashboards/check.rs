//! `cargo xtask dashboards check`: the checks that need only the files.
//!
//! Runs promtool on rules, tests and the scrape configuration, and Grafana's own types on the
//! boards. Also checks what both accept: a panel without a unit, an alert without a runbook, a
//! metric that no service exports.

mod of_alerts;
mod of_boards;
mod of_schema;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::files::{self, BoardFile};
use super::rules::{self, Rules};
use super::{Checked, expressions};
use crate::workspace;

/// Every check that needs only the tree.
pub(super) fn all() -> anyhow::Result<Vec<Checked>> {
    let root = workspace::root()?;
    let boards = files::boards(&root)?;
    let rules = Rules::read(&root)?;
    let listed = files::documented_metrics(&root)?;
    let mut checks = vec![
        Checked::new("the JSON of the boards matches their definitions", of_boards::stale(&boards)),
        Checked::new(
            "every panel has a unit, a description and its data source",
            of_boards::panels(&boards),
        ),
        Checked::new(
            "ids are unique, variables and links lead somewhere",
            of_boards::references(&boards),
        ),
        Checked::new(
            "every metric on a board is in docs/metrics.md",
            named(&boards, &rules, &listed),
        ),
        Checked::new("every metric in a rule is in docs/metrics.md", used(&rules, &listed)),
        Checked::new("promtool accepts rules and configuration", promtool_check(&root)?),
        Checked::new("promtool's tests of the rules pass", promtool_test(&root)?),
        Checked::new(
            "every alert says what to do and has its page",
            of_alerts::incomplete(&root, &rules)?,
        ),
        Checked::new(
            "every alert is tested firing and not firing",
            of_alerts::untested(&rules, &rules::expectations(&root)?),
        ),
    ];
    checks.extend(of_schema::checks(&root, &boards)?);
    Ok(checks)
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
    let mut complaints = printed(Command::new("promtool").args(["check", "rules"]).args(rules))?;
    let config = root.join(rules::FOLDER).join("prometheus.yml");
    complaints.extend(printed(Command::new("promtool").args(["check", "config"]).arg(config))?);
    Ok(complaints)
}

fn promtool_test(root: &Path) -> anyhow::Result<Vec<String>> {
    let tests = rules::paths(root, "tests")?;
    printed(Command::new("promtool").args(["test", "rules"]).args(tests))
}

/// What a program printed, if it failed.
fn printed(command: &mut Command) -> anyhow::Result<Vec<String>> {
    let output = command.output();
    let program = command.get_program().display();
    let output = output.with_context(|| format!("run {program}: 'make setup' installs it"))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let text = [output.stdout, output.stderr].concat();
    ensure!(!text.is_empty(), "{program} said nothing and ended with {}", output.status);
    Ok(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect())
}
