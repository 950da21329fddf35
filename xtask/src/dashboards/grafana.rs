//! A board as the JSON that Grafana 11 and 12 import.
//!
//! Lays the panels out from left to right, row by row. The data sources are variables of the board,
//! so that one file works with any name of a data source. The same board produces the same bytes.

mod panel;

use serde_json::{Value, json};

use super::board::{Board, Row, Shape, Variable};

const GRID_WIDTH: u32 = 24;
const STAT_HEIGHT: u32 = 4;
const PANEL_HEIGHT: u32 = 8;

/// The text of a board's file. `all` are the boards it links to, itself included.
pub(crate) fn text(board: &Board, all: &[Board]) -> String {
    let value = json!({
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": ["ringkv"],
        "schemaVersion": 39,
        "version": 1,
        "id": null,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables(board)},
        "annotations": {"list": [restarts(), firing()]},
        "links": all.iter().filter(|other| other.uid != board.uid).map(link).collect::<Vec<_>>(),
        "panels": panels(board, all),
    });
    format!("{value:#}\n")
}

fn variables(board: &Board) -> Vec<Value> {
    let source = |name: &str, label: &str, kind: &str| {
        json!({"type": "datasource", "name": name, "label": label, "query": kind, "refresh": 1,
            "current": {}})
    };
    let mut list = vec![
        source("datasource", "Prometheus", "prometheus"),
        source("jaeger", "Traces", "jaeger"),
    ];
    list.extend(board.variables.iter().map(|variable| query_variable(variable)));
    list
}

fn query_variable(variable: &Variable) -> Value {
    let query = format!("label_values({}, {})", variable.metric, variable.label);
    json!({
        "type": "query",
        "name": variable.name,
        "label": variable.heading,
        "datasource": prometheus(),
        "definition": query,
        "query": {"query": query, "refId": "Variable"},
        "refresh": 2,
        "sort": 3,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

/// The data source of all panels.
fn prometheus() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

const RESTARTS: &str = "resets(process_cpu_seconds_total{job=~\"ringkv-.*\"}[1m]) > 0";
const FIRING: &str = "ALERTS{alertname=~\"Ringkv.*\", alertstate=\"firing\"}";

fn restarts() -> Value {
    annotation("Restarts", "blue", RESTARTS, "{{job}} {{instance}} was restarted")
}

fn firing() -> Value {
    annotation("Alerts", "red", FIRING, "{{alertname}} {{instance}}")
}

/// Some releases of Grafana's Prometheus data source read the field in the target, others read it
/// next to the target.
fn annotation(name: &str, color: &str, expression: &str, title: &str) -> Value {
    json!({
        "name": name,
        "enable": true,
        "datasource": prometheus(),
        "expr": expression,
        "iconColor": color,
        "step": "15s",
        "target": {"expr": expression, "interval": "15s", "refId": "Anno"},
        "titleFormat": title,
    })
}

fn link(to: &Board) -> Value {
    json!({
        "type": "link",
        "title": to.title,
        "tooltip": to.about,
        "url": format!("/d/{}", to.uid),
        "icon": "dashboard",
        "keepTime": true,
        "includeVars": true,
    })
}

fn panels(board: &Board, all: &[Board]) -> Vec<Value> {
    let mut list = Vec::new();
    let (mut x, mut y) = (0, 0);
    for Row { title, panels } in &board.rows {
        let at = json!({"x": 0, "y": y, "w": GRID_WIDTH, "h": 1});
        let id = list.len() + 1;
        list.push(json!({"type": "row", "id": id, "title": title, "gridPos": at, "panels": [],
            "collapsed": false}));
        y += 1;
        let mut height = 0;
        for panel in panels {
            if x + panel.width > GRID_WIDTH {
                (x, y) = (0, y + height);
            }
            height = if panel.shape == Shape::Stat { STAT_HEIGHT } else { PANEL_HEIGHT };
            let at = json!({"x": x, "y": y, "w": panel.width, "h": height});
            list.push(panel::value(panel, list.len() + 1, at, all));
            x += panel.width;
        }
        (x, y) = (0, y + height);
    }
    list
}
