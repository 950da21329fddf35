//! One panel in Grafana's JSON: its queries, options, units, thresholds and links.

use serde_json::{Value, json};

use super::prometheus;
use crate::dashboards::board::{Board, Panel, Query, Shape, Unit};
use crate::dashboards::traces;

/// The runbook of an alert.
const RUNBOOK: &str = "https://github.com/ringkv/ringkv/blob/main/docs/runbooks/${__value.raw}.md";

/// The panel with this id at this place of the grid.
pub(super) fn value(panel: &Panel, id: usize, at: Value, all: &[Board]) -> Value {
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
        if let Some(step) = panel.steps.first().filter(|_| panel.to_threshold) {
            value["custom"]["axisSoftMax"] = json!(step.from);
        }
    }
    value
}

fn lines(shape: Shape) -> bool {
    matches!(shape, Shape::Time | Shape::Stacked)
}

/// The unit of each column of a table, and the links of its rows.
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
    if let Some((label, heading)) = panel.row {
        list.push(json!({"matcher": {"id": "byName", "options": heading},
            "properties": [{"id": "links", "value": row_links(panel, label)}]}));
    }
    list
}

/// The link of the name of a row.
fn row_links(panel: &Panel, label: &str) -> Vec<Value> {
    let mut links: Vec<Value> = panel.traces.map(traces::link).into_iter().collect();
    if label == "instance" && panel.traces == Some("ringkv-storage-node") {
        links.push(json!({"title": "This node on Storage and node", "targetBlank": false,
            "url": "/d/ringkv-storage?var-node=${__value.raw}&${datasource:queryparam}"}));
    }
    if label == "alertname" {
        links.push(json!({"title": "Its runbook", "targetBlank": true, "url": RUNBOOK}));
    }
    links
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

/// Grafana's name of a unit.
fn unit(unit: Unit) -> &'static str {
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
