//! Errors in the boards' JSON that Grafana would load.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dashboards::board::Board;
use crate::dashboards::files::BoardFile;
use crate::dashboards::{boards, expressions, grafana};

/// Files that differ from the definitions.
pub(super) fn stale(files: &[BoardFile]) -> Vec<String> {
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

/// Panels without a part that the reader needs.
pub(super) fn panels(boards: &[BoardFile]) -> Vec<String> {
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

/// Names without a definition, and names with two.
pub(super) fn references(boards: &[BoardFile]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::files::BoardFile;
    use super::{panels, references};

    fn board(change: impl FnOnce(&mut Value)) -> BoardFile {
        let panel = json!({"id": 1, "type": "stat", "title": "Up", "description": "Whether.",
            "datasource": {"uid": "${datasource}"}, "targets": [{"expr": "up{i=\"$node\"}"}],
            "fieldConfig": {"defaults": {"unit": "s"}}, "links": [{"url": "/d/a?x"}]});
        let mut value = json!({"uid": "a", "panels": [panel],
            "templating": {"list": [{"name": "node"}]}});
        change(&mut value);
        BoardFile { name: "a.json".to_owned(), value }
    }

    #[test]
    fn a_panel_that_lacks_something_is_named_with_what_it_lacks() {
        assert_eq!(panels(&[board(|_| {})]), [""; 0]);
        let without =
            |path: &str| panels(&[board(|b| *b.pointer_mut(path).unwrap() = json!(null))]);
        assert_eq!(without("/panels/0/description").len(), 1);
        assert_eq!(without("/panels/0/datasource").len(), 1);
        assert_eq!(without("/panels/0/targets").len(), 1);
        let unit = without("/panels/0/fieldConfig/defaults/unit");
        assert_eq!(unit, ["a.json: panel \"Up\" has no unit"]);
    }

    #[test]
    fn names_that_lead_nowhere_and_ids_used_twice_are_found() {
        assert_eq!(references(&[board(|_| {})]), [""; 0]);
        let elsewhere = board(|b| b["panels"][0]["links"][0]["url"] = json!("/d/b?x"));
        assert_eq!(references(&[elsewhere]), ["a.json: there is no board b"]);
        let stray = board(|b| b["templating"]["list"] = json!([]));
        assert_eq!(references(&[stray]), ["a.json: \"Up\" uses $node"]);
        let twice = board(|b| b["panels"] = json!([b["panels"][0], b["panels"][0]]));
        assert_eq!(references(&[twice]), ["a.json: panels share an id"]);
        assert_eq!(references(&[board(|_| {}), board(|_| {})]).len(), 1);
    }
}
