//! The description of the API at `/openapi.json`, OpenAPI 3.1.
//!
//! Written by hand from the same constants the code enforces; a test asks the running gateway for
//! every path and method named here, and for those that are not.

mod operations;

use ringkv_client::ErrorKind;
use serde_json::{Map, Value, json};

use crate::problem;

/// The whole document.
pub(crate) fn document() -> Value {
    let by_path = |parameters: Value| {
        json!({
            "get": operation("Reads a value", "getKey", &parameters, &READ, false),
            "head": operation("Reads what is known of a value", "headKey", &parameters, &READ, false),
            "put": operation("Writes a value", "putKey", &parameters, &WRITE, true),
            "delete": operation("Deletes a value", "deleteKey", &parameters, &DELETE, false),
        })
    };
    let key = json!([{
        "name": "key", "in": "path", "required": true, "schema": {"type": "string"},
        "description": "The rest of the path, `/` included, percent-decoded once, byte for byte: \
                        1 to 4096 bytes of any value.",
    }]);
    let key_b64 = json!([{
        "name": "key_b64", "in": "query", "required": true, "schema": {"type": "string"},
        "description": "The key as base64url, for keys that a client library would rewrite in a \
                        path (`..`, `//`).",
    }]);
    let mut paths = Map::new();
    for prefix in ["", "/v1"] {
        paths.insert(format!("{prefix}/kv/{{key}}"), by_path(key.clone()));
        paths.insert(format!("{prefix}/kv"), by_path(key_b64.clone()));
    }
    for (path, summary, content_type) in PAGES {
        paths.insert(path.into(), page(path, summary, content_type));
    }
    paths.extend(operations::paths());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ringkv gateway",
            "version": ringkv_telemetry::build_info::VERSION,
            "description": "Bytes in, bytes out: PUT and GET of keys in a linearizable store.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {
            "Problem": problem_schema(),
            "Envelope": envelope_schema(),
            "Operation": operations::schema(),
        }},
    })
}

/// Paths that are not keys, what they show, and as what.
const PAGES: [(&str, &str, &str); 8] = [
    ("/topology", "Nodes, groups and slots", "application/json"),
    ("/limits", "Every limit of a request", "application/json"),
    ("/livez", "Whether the process is alive", "text/plain"),
    ("/healthz", "The same as /livez", "text/plain"),
    ("/readyz", "Whether clients may be sent here", "text/plain"),
    ("/metrics", "Prometheus metrics", "text/plain"),
    ("/openapi.json", "This document", "application/json"),
    ("/problems/{slug}", "What a problem's type means", "application/json"),
];

const TRACE_ID: &str = "Names the request in traces and logs: that of `traceparent`, else new.";
const SERVER_TIMING: &str = "Where the time went, in milliseconds: queue, raft, fsync, apply of a \
                             write, raft and read of a read, total.";

type Statuses = [(&'static str, &'static str)];

const READ: [(&str, &str); 2] = [
    ("200", "The value under its stored content type, or an envelope"),
    ("304", "The reader has this revision (If-None-Match)"),
];
const WRITE: [(&str, &str); 3] = [
    ("200", "Replaced; the body is the previous value (?return=previous)"),
    ("201", "Created"),
    ("204", "Replaced"),
];
const DELETE: [(&str, &str); 2] =
    [("200", "Deleted; the body is the previous value (?return=previous)"), ("204", "Deleted")];

fn operation(summary: &str, id: &str, key: &Value, statuses: &Statuses, body: bool) -> Value {
    let writes = id == "putKey" || id == "deleteKey";
    let mut parameters = key.as_array().cloned().unwrap_or_default();
    parameters.extend(
        HEADERS
            .iter()
            .filter(|(_, for_writes_only, _)| writes || !for_writes_only)
            .map(|(name, _, description)| parameter("header", name, description)),
    );
    if writes {
        parameters.push(parameter("query", "return", "`previous` answers with the record before."));
    } else {
        let description = "`linearizable`, the default and only choice.";
        parameters.push(parameter("query", "consistency", description));
    }
    let mut responses: Map<String, Value> = statuses
        .iter()
        .map(|(status, description)| ((*status).to_owned(), answer(status, description)))
        .collect();
    for kind in ErrorKind::ALL {
        responses.entry(kind.status().to_string()).or_insert_with(|| problem_answer(kind.title()));
    }
    let mut operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    });
    if body {
        operation["requestBody"] = json!({
            "description": "The value; its Content-Type is stored with it.",
            "content": {"application/octet-stream": {"schema": {}}},
        });
    }
    operation
}

/// Request headers: name, whether for writes only, meaning.
const HEADERS: [(&str, bool, &str); 9] = [
    ("If-Match", false, "Only if the record's ETag is one of these; `*`: if there is a record."),
    ("If-None-Match", false, "Only if the record's ETag is none of these; `*`: if there is none."),
    ("KV-Timeout-Ms", false, "Budget of the request, 1 to 30000 milliseconds; default 5000."),
    ("traceparent", false, "W3C Trace Context: the span this request belongs to."),
    ("tracestate", false, "W3C Trace Context: kept with the trace, up to 512 bytes."),
    ("Accept", false, "`application/json` answers with an envelope."),
    ("Idempotency-Key", true, "1 to 255 visible ASCII characters: the write applies at most once."),
    ("Content-Type", true, "Stored and served with the value (PUT)."),
    ("KV-Meta-*", true, "Stored and served with the value (PUT): up to 32, 4096 bytes in all."),
];

fn parameter(place: &str, name: &str, description: &str) -> Value {
    json!({"name": name, "in": place, "schema": {"type": "string"}, "description": description})
}

fn answer(status: &str, description: &str) -> Value {
    let mut answer = json!({
        "description": description,
        "headers": {
            "ETag": {"schema": {"type": "string"}, "description": "The revision, in quotes."},
            "KV-Revision": {"schema": {"type": "integer"}, "description": "The revision."},
            "KV-Trace-Id": {"schema": {"type": "string"}, "description": TRACE_ID},
            "Server-Timing": {"schema": {"type": "string"}, "description": SERVER_TIMING},
        },
    });
    if status == "200" {
        answer["content"] = json!({
            "application/octet-stream": {"schema": {}},
            "application/json": {"schema": {"$ref": "#/components/schemas/Envelope"}},
        });
    }
    answer
}

fn page(path: &str, summary: &str, content_type: &str) -> Value {
    let parameters = if path.contains("{slug}") {
        json!([{"name": "slug", "in": "path", "required": true, "schema": {"type": "string"}}])
    } else {
        json!([])
    };
    let operation = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": summary, "content": {content_type: {"schema": {}}}},
            "503": problem_answer(ErrorKind::NotReady.title()),
        },
    });
    json!({"get": operation, "head": operation})
}

fn problem_answer(description: &str) -> Value {
    json!({
        "description": description,
        "headers": {"KV-Trace-Id": {"schema": {"type": "string"}, "description": TRACE_ID}},
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": [
            "type", "title", "status", "detail", "instance", "trace_id", "code", "retryable",
            "outcome",
        ],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "code": {"enum": ErrorKind::ALL.map(problem::code)},
            "retryable": {"type": "boolean"},
            "outcome": {"enum": ["applied", "not_applied", "unknown"]},
            "retry_after_ms": {"type": "integer"},
            "limit": {"type": "integer"},
            "current_etag": {"type": "string"},
            "group": {"type": "integer"},
        },
    })
}

fn envelope_schema() -> Value {
    json!({
        "type": "object",
        "required": ["revision", "content_type", "metadata", "created_ms", "updated_ms"],
        "properties": {
            "key": {"type": "string", "description": "The key, if it is UTF-8."},
            "key_b64": {"type": "string", "description": "The key as base64, if it is not."},
            "value": {"type": "string", "description": "The value, if it is UTF-8."},
            "value_b64": {"type": "string", "description": "The value as base64, if it is not."},
            "revision": {"type": "integer"},
            "content_type": {"type": "string"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "created_ms": {"type": "integer", "description": "Unix time in milliseconds."},
            "updated_ms": {"type": "integer", "description": "Unix time in milliseconds."},
        },
    })
}
