//! The Prometheus rules and their tests in the tree. promtool decides whether they are valid; this
//! module reads only what promtool does not check.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use yaml_rust2::{Yaml, YamlLoader};

/// The folder of Prometheus's files, relative to the root.
pub(crate) const FOLDER: &str = "dashboards/prometheus";

pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) expression: String,
}

#[derive(Default)]
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) expression: String,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    pub(crate) runbook_url: String,
}

#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) alerts: Vec<Alert>,
}

impl Rules {
    /// Reads every rule file.
    ///
    /// # Errors
    /// A file cannot be read or is not YAML.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut rules = Self::default();
        for path in paths(root, "rules")? {
            for group in list(&load(&path)?["groups"]) {
                for rule in list(&group["rules"]) {
                    rules.add(rule);
                }
            }
        }
        ensure!(!rules.alerts.is_empty() && !rules.recorded.is_empty(), "there are no rules");
        Ok(rules)
    }

    fn add(&mut self, rule: &Yaml) {
        let expression = text(&rule["expr"]);
        let notes = &rule["annotations"];
        if let Some(name) = rule["alert"].as_str() {
            self.alerts.push(Alert {
                name: name.to_owned(),
                expression,
                severity: text(&rule["labels"]["severity"]),
                summary: text(&notes["summary"]),
                description: text(&notes["description"]),
                runbook_url: text(&notes["runbook_url"]),
            });
        } else {
            self.recorded.push(Recorded { name: text(&rule["record"]), expression });
        }
    }

    /// Each expression with the name of its rule.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&str, &str)> {
        let alerts = self.alerts.iter().map(|alert| (&*alert.name, &*alert.expression));
        let recorded = self.recorded.iter().map(|rule| (&*rule.name, &*rule.expression));
        alerts.chain(recorded)
    }
}

/// One assertion of a test: whether this alert fires at some time.
pub(crate) struct Expectation {
    pub(crate) alert: String,
    pub(crate) fires: bool,
}

/// The assertions of all test files.
///
/// # Errors
/// A file cannot be read or is not YAML.
pub(crate) fn expectations(root: &Path) -> anyhow::Result<Vec<Expectation>> {
    let mut found = Vec::new();
    for path in paths(root, "tests")? {
        for test in list(&load(&path)?["tests"]) {
            for question in list(&test["promql_expr_test"]) {
                let asked = text(&question["expr"]);
                let alert =
                    asked.split("alertname=\"").nth(1).and_then(|rest| rest.split('"').next());
                let fires = !list(&question["exp_samples"]).is_empty();
                found.extend(alert.map(|alert| Expectation { alert: alert.to_owned(), fires }));
            }
        }
    }
    Ok(found)
}

/// The YAML files of a folder, sorted.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn paths(root: &Path, folder: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(root.join(FOLDER).join(folder)).context("list rule files")? {
        paths.push(entry.context("list rule files")?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    paths.sort();
    Ok(paths)
}

fn load(path: &Path) -> anyhow::Result<Yaml> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let documents =
        YamlLoader::load_from_str(&text).with_context(|| format!("parse {}", path.display()))?;
    documents.into_iter().next().with_context(|| format!("{} is empty", path.display()))
}

fn list(value: &Yaml) -> &[Yaml] {
    value.as_vec().map_or(&[], Vec::as_slice)
}

fn text(value: &Yaml) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
