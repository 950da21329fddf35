//! The operations of the cluster as JSON.

use ringkv_client::{ErrorKind, Operation, Operations};
use serde_json::{Value, json};

use super::rfc3339::rfc3339;
use crate::problem::Problem;

/// The body of `/operations`, ascending by id.
pub(super) fn list(operations: &Operations) -> Value {
    json!({
        "from_leader": operations.from_leader,
        "operations": operations.operations.iter().map(shown).collect::<Vec<_>>(),
    })
}

/// The body of `/operations/{id}`.
///
/// # Errors
/// The id is not one, or there is no operation with it.
pub(super) fn one(operations: &Operations, id: &str) -> Result<Value, Problem> {
    let Ok(id) = id.parse::<u64>() else {
        let detail = "the id of an operation is a number; /operations lists them";
        return Err(Problem::new(ErrorKind::BadParameter, detail));
    };
    operations.find(id).map(shown).ok_or_else(|| {
        let detail = format!("there is no operation {id}, or it ended long ago");
        Problem::new(ErrorKind::RouteNotFound, detail)
    })
}

fn shown(operation: &Operation) -> Value {
    json!({
        "id": operation.id,
        "kind": operation.kind,
        "title": operation.title,
        "nodes": operation.nodes,
        "cause": operation.cause,
        "state": operation.state.slug(),
        "began": rfc3339(operation.began_ms),
        "ended": operation.ended_ms.map(rfc3339),
        "steps": {"done": operation.done_steps, "total": operation.total_steps},
        "bytes": {"done": operation.done_bytes, "total": operation.total_bytes},
        "bytes_per_s": operation.bytes_per_s,
        "seconds_left": operation.seconds_left,
        "blocked_by": operation.blocked_by,
    })
}
