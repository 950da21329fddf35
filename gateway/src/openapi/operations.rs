//! The description of `/operations`.

use ringkv_client::ErrorKind;
use serde_json::{Map, Value, json};

use super::problem_answer;

/// The two paths.
pub(super) fn paths() -> Map<String, Value> {
    let reference = json!({"$ref": "#/components/schemas/Operation"});
    let list = json!({
        "type": "object",
        "required": ["from_leader", "operations"],
        "properties": {
            "from_leader": {
                "type": "boolean",
                "description": "False if placement's leader could not be asked: rates and blockers \
                                are unknown then.",
            },
            "operations": {"type": "array", "items": reference.clone()},
        },
    });
    let id = json!({
        "name": "id", "in": "path", "required": true, "schema": {"type": "integer"},
        "description": "The id of an operation that runs, or of one of the last 200 that ended.",
    });
    let mut paths = Map::new();
    let summary = "Changes of the cluster that run, and the last that ended";
    paths.insert("/operations".into(), path(summary, &[], &list, &[]));
    let unknown = [ErrorKind::BadParameter, ErrorKind::RouteNotFound];
    let summary = "One change of the cluster";
    paths.insert("/operations/{id}".into(), path(summary, &[id], &reference, &unknown));
    paths
}

fn path(summary: &str, parameters: &[Value], schema: &Value, problems: &[ErrorKind]) -> Value {
    let content = json!({"application/json": {"schema": schema}});
    let mut responses = Map::new();
    responses.insert("200".into(), json!({"description": summary, "content": content}));
    for kind in problems.iter().chain(&[ErrorKind::NotReady]) {
        responses.insert(kind.status().to_string(), problem_answer(kind.title()));
    }
    let operation = json!({"summary": summary, "parameters": parameters, "responses": responses});
    json!({"get": operation, "head": operation})
}

/// An operation.
pub(super) fn schema() -> Value {
    let amount = |description: &str| {
        json!({
            "type": "object",
            "required": ["done", "total"],
            "properties": {"done": {"type": "integer"}, "total": {"type": "integer"}},
            "description": description,
        })
    };
    let observed = |description: &str| {
        json!({
            "type": ["integer", "null"],
            "description": format!("{description}; null while too little was observed."),
        })
    };
    json!({
        "type": "object",
        "required": [
            "id", "kind", "title", "nodes", "cause", "state", "began", "ended", "steps", "bytes",
            "bytes_per_s", "seconds_left", "blocked_by",
        ],
        "properties": {
            "id": {"type": "integer"},
            "kind": {"enum": [
                "bootstrap", "node_join", "node_drain", "node_replace", "node_loss", "rebalance",
                "setting", "placement_join", "placement_leave",
            ]},
            "title": {"type": "string", "description": "What it does, in words."},
            "nodes": {"type": "array", "items": {"type": "integer"}},
            "cause": {"type": "string", "description": "Why it began."},
            "state": {"enum": ["running", "done", "aborted"]},
            "began": {"type": "string", "format": "date-time"},
            "ended": {"type": ["string", "null"], "format": "date-time"},
            "steps": amount("Moves of one replica each; the total may grow."),
            "bytes": amount("Of the replicas whose move has begun."),
            "bytes_per_s": observed("Bytes moved per second in the last minute"),
            "seconds_left": observed("Time until its last step is done"),
            "blocked_by": {
                "type": "array",
                "items": {"type": "string"},
                "description": "What has to happen before it goes on.",
            },
        },
    })
}
