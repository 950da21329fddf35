//! The boards and the list of metrics in the tree: what a user imports and reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::expressions;

/// The folder of the boards, relative to the root.
pub(crate) const FOLDER: &str = "dashboards";
const METRICS_PAGE: &str = "docs/metrics.md";

/// One board's file.
pub(crate) struct BoardFile {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl BoardFile {
    /// All panels except the headings of rows.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = self.value["panels"].as_array().into_iter().flatten();
        panels.filter(|panel| panel["type"] != "row")
    }

    /// Each expression with the title of its panel or annotation.
    pub(crate) fn expressions(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        for panel in self.panels() {
            let title = panel["title"].as_str().unwrap_or_default();
            let targets = panel["targets"].as_array().into_iter().flatten();
            found.extend(targets.filter_map(|target| Some((title, target["expr"].as_str()?))));
        }
        let marks = self.value["annotations"]["list"].as_array().into_iter().flatten();
        found.extend(
            marks.filter_map(|mark| Some((mark["name"].as_str()?, mark["expr"].as_str()?))),
        );
        found
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = &Value> {
        self.value["templating"]["list"].as_array().into_iter().flatten()
    }
}

/// Every board in the tree, by name.
///
/// # Errors
/// A file cannot be read or is not JSON.
pub(crate) fn boards(root: &Path) -> anyhow::Result<Vec<BoardFile>> {
    let mut boards = Vec::new();
    for entry in fs::read_dir(root.join(FOLDER)).context("list the dashboards")? {
        let path = entry.context("list the dashboards")?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
            let value = serde_json::from_str(&text).with_context(|| format!("parse {name}"))?;
            boards.push(BoardFile { name, value });
        }
    }
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!boards.is_empty(), "there is no board in {FOLDER}/");
    Ok(boards)
}

/// The metrics named in `docs/metrics.md`: words in backticks, without their labels.
///
/// # Errors
/// The page cannot be read.
pub(crate) fn documented_metrics(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = fs::read_to_string(root.join(METRICS_PAGE)).context("read docs/metrics.md")?;
    let words = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    Ok(words
        .map(|word| word.split(['{', ' ']).next().unwrap_or_default())
        .filter(|word| expressions::is_ours(word) && !word.contains('*'))
        .map(str::to_owned)
        .collect())
}

/// The name of a metric in the list: it has a histogram once, without the suffix of its series.
pub(crate) fn listed_name<'a>(series: &'a str, listed: &BTreeSet<String>) -> &'a str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|ending| series.strip_suffix(ending))
        .find(|base| listed.contains(*base))
        .unwrap_or(series)
}
