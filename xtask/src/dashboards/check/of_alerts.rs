//! Errors in an alert that promtool accepts.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::dashboards::rules::{Expectation, Rules};

const RUNBOOKS: &str = "docs/runbooks";
const RUNBOOK_URL: &str = "https://github.com/ringkv/ringkv/blob/main/docs/runbooks/";
/// The sections of a runbook, in this order.
const HEADINGS: [&str; 5] = ["Means", "Users see", "Look first at", "Do", "False alarm when"];

/// Alerts without a complete runbook, and runbooks without an alert.
pub(super) fn incomplete(root: &Path, rules: &Rules) -> anyhow::Result<Vec<String>> {
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
        for heading in HEADINGS {
            if !page.contains(&format!("**{heading}**")) {
                complaints.push(format!("{RUNBOOKS}/{name}.md: nothing under {heading:?}"));
            }
        }
    }
    for entry in fs::read_dir(root.join(RUNBOOKS)).context("list the runbooks")? {
        let file = entry.context("list the runbooks")?.file_name();
        let name = file.to_string_lossy().trim_end_matches(".md").to_owned();
        let is_of_an_alert = name.starts_with("Ringkv");
        if is_of_an_alert && rules.alerts.iter().all(|alert| alert.name != name) {
            complaints.push(format!("{RUNBOOKS}/{name}.md: there is no such alert"));
        }
    }
    Ok(complaints)
}

/// Alerts without a test in which they fire, or without a test in which they do not.
pub(super) fn untested(rules: &Rules, expectations: &[Expectation]) -> Vec<String> {
    let mut complaints = Vec::new();
    for alert in &rules.alerts {
        for (fires, how) in [(true, "firing"), (false, "not firing")] {
            let mut of_it = expectations.iter().filter(|expected| expected.alert == alert.name);
            if !of_it.any(|expected| expected.fires == fires) {
                complaints.push(format!("{} is not tested {how}", alert.name));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::untested;
    use crate::dashboards::rules::{Alert, Expectation, Rules};

    #[test]
    fn an_alert_must_be_seen_firing_and_silent() {
        let alert = Alert { name: "A".to_owned(), ..Alert::default() };
        let rules = Rules { alerts: vec![alert], ..Rules::default() };
        let expect = |alert: &str, fires| Expectation { alert: alert.to_owned(), fires };
        let complaints = untested(&rules, &[expect("A", true), expect("B", false)]);
        assert_eq!(complaints, ["A is not tested not firing"]);
        assert!(untested(&rules, &[expect("A", true), expect("A", false)]).is_empty());
    }
}
