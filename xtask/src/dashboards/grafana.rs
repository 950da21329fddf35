//! A board as the JSON that Grafana 11 and 12 import.
//!
//! Lays the panels out from left to right, row by row. The data sources are variables of the board,
//! so that one file serves whatever they are called. The same board gives the same bytes.

use serde_json::{Value, json};

use super::board::{Board, Panel, Query, Row, Shape, Unit, Variable};
use super::traces;

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

/// The word of a unit in Grafana.
pub(crate) fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "cps",
        Unit::RequestsPerSecond => "reqps",
        Unit::Seconds => "s",
        Unit::Days => "d",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "Bps",
        Unit::Ratio => "percentunit",
        Unit::YesNo => "bool_yes_no",
    }
}

fn variables(board: &Board) -> Vec<Value> {
    let source = |name: &str, label: &str, kind: &str| json!({"type": "datasource", "name": name, "label": label, "query": kind});
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

fn annotation(name: &str, color: &str, expression: &str, title: &str) -> Value {
    json!({
        "name": name,
        "enable": true,
        "datasource": prometheus(),
        "expr": expression,
        "iconColor": color,
        "step": "15s",
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
            list.push(panel_value(panel, list.len() + 1, at, all));
            x += panel.width;
        }
        (x, y) = (0, y + height);
    }
    list
}

fn panel_value(panel: &Panel, id: usize, at: Value, all: &[Board]) -> Value {
    let mut value = json!({
        "id": id,
        "type": kind(panel.shape),
        "title": panel.title,
        "description": panel.about,
        "datasource": prometheus(),
        "gridPos": at,
        "targets": targets(panel),
        "options": options(panel),
        "fieldConfig": {"defaults": defaults(panel), "overrides": overrides(panel)},
        "links": see(panel, all),
    });
    if let Some((label, heading)) = panel.row {
        value["transformations"] = columns(panel, label, heading);
    }
    value
}

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Stat => "stat",
        Shape::Time | Shape::Stacked => "timeseries",
        Shape::Bars => "bargauge",
        Shape::Heatmap => "heatmap",
        Shape::Table => "table",
    }
}

fn letter(index: usize) -> String {
    char::from(b'A' + u8::try_from(index).unwrap_or(25).min(25)).to_string()
}

fn targets(panel: &Panel) -> Vec<Value> {
    let instant = matches!(panel.shape, Shape::Table | Shape::Bars);
    let format = match panel.shape {
        Shape::Table => "table",
        Shape::Heatmap => "heatmap",
        Shape::Stat | Shape::Time | Shape::Stacked | Shape::Bars => "time_series",
    };
    let target = |(index, query): (usize, &Query)| {
        json!({
            "refId": letter(index),
            "datasource": prometheus(),
            "editorMode": "code",
            "expr": query.expression,
            "legendFormat": query.legend,
            "format": format,
            "range": !instant,
            "instant": instant,
            "exemplar": panel.exemplars,
        })
    };
    panel.queries.iter().enumerate().map(target).collect()
}

fn options(panel: &Panel) -> Value {
    let last = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    match panel.shape {
        Shape::Stat => json!({"reduceOptions": last, "colorMode": "value", "graphMode": "area",
            "justifyMode": "auto", "textMode": "auto"}),
        Shape::Time | Shape::Stacked => json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Shape::Bars => json!({"reduceOptions": last, "orientation": "horizontal",
            "displayMode": "basic", "showUnfilled": true}),
        Shape::Heatmap => json!({
            "calculate": false,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
            "exemplars": {"color": "rgba(80,120,255,0.8)"},
            "yAxis": {"unit": unit(panel.unit)},
            "legend": {"show": true},
            "tooltip": {"mode": "single", "yHistogram": false},
        }),
        Shape::Table => json!({"showHeader": true, "cellHeight": "sm"}),
    }
}

fn defaults(panel: &Panel) -> Value {
    let mut steps = vec![json!({"value": null, "color": panel.base})];
    steps.extend(panel.steps.iter().map(|step| json!({"value": step.from, "color": step.color})));
    let mut value = json!({
        "unit": unit(panel.unit),
        "thresholds": {"mode": "absolute", "steps": steps},
        "links": panel.traces.map(traces::link).into_iter().collect::<Vec<_>>(),
        "color": {"mode": if lines(panel.shape) { "palette-classic" } else { "thresholds" }},
    });
    if !matches!(panel.unit, Unit::Days) {
        value["min"] = json!(0);
    }
    if matches!(panel.unit, Unit::YesNo) {
        value["max"] = json!(1);
    }
    if lines(panel.shape) {
        let stacked = panel.shape == Shape::Stacked;
        value["custom"] = json!({
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": if stacked { 30 } else { 8 },
            "showPoints": "never",
            "stacking": {"mode": if stacked { "normal" } else { "none" }, "group": "A"},
            "thresholdsStyle": {"mode": if panel.steps.is_empty() { "off" } else { "dashed" }},
        });
    }
    value
}

fn lines(shape: Shape) -> bool {
    matches!(shape, Shape::Time | Shape::Stacked)
}

/// The unit of each column of a table, and where its rows lead.
fn overrides(panel: &Panel) -> Vec<Value> {
    let mut list: Vec<Value> = panel
        .queries
        .iter()
        .filter_map(|query| Some((query.legend, query.unit?)))
        .map(|(heading, of)| {
            json!({"matcher": {"id": "byName", "options": heading},
                "properties": [{"id": "unit", "value": unit(of)}]})
        })
        .collect();
    if let (Some((label, heading)), Some(service)) = (panel.row, panel.traces) {
        let mut links = vec![traces::link(service)];
        if label == "instance" {
            links.push(json!({"title": "This node on Storage and node", "targetBlank": false,
                "url": "/d/ringkv-storage?var-node=${__value.raw}&${datasource:queryparam}"}));
        }
        list.push(json!({"matcher": {"id": "byName", "options": heading},
            "properties": [{"id": "links", "value": links}]}));
    }
    list
}

/// One row for each value of the label, with the value of each query in a column.
fn columns(panel: &Panel, label: &str, heading: &str) -> Value {
    let mut names = serde_json::Map::new();
    let mut places = serde_json::Map::new();
    names.insert(label.to_owned(), json!(heading));
    places.insert(label.to_owned(), json!(0));
    for (index, query) in panel.queries.iter().enumerate() {
        // With a single query Grafana calls its column just `Value`.
        let one = panel.queries.len() == 1;
        let name = if one { "Value".to_owned() } else { format!("Value #{}", letter(index)) };
        names.insert(name.clone(), json!(query.legend));
        places.insert(name, json!(index + 1));
    }
    json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": true},
            "renameByName": names, "indexByName": places}},
    ])
}

fn see(panel: &Panel, all: &[Board]) -> Vec<Value> {
    let board = panel.see.and_then(|uid| all.iter().find(|board| board.uid == uid));
    board
        .map(|board| {
            json!({"title": board.title, "targetBlank": false,
                "url": format!("/d/{}?${{__url_time_range}}&${{datasource:queryparam}}",
                    board.uid)})
        })
        .into_iter()
        .collect()
}
