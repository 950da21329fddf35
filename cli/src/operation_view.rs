//! The operations of the cluster as the commands show them.
//!
//! Owns the part of the gateway's JSON that they read, the table and the lines. Unknown members are
//! ignored, so that an older command works with a newer gateway.

use ringkv_client::Operation;
use serde::Deserialize;

use crate::topology_view::table;

/// The gateway's `/operations`.
#[derive(Debug, Deserialize)]
pub(crate) struct OperationsView {
    pub from_leader: bool,
    pub operations: Vec<OperationView>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct OperationView {
    pub id: u64,
    pub title: String,
    pub cause: String,
    pub state: String,
    #[serde(default)]
    pub began: Option<String>,
    #[serde(default)]
    pub ended: Option<String>,
    pub steps: Amount,
    pub bytes: Amount,
    pub bytes_per_s: Option<u64>,
    pub seconds_left: Option<u64>,
    pub blocked_by: Vec<String>,
}

/// How much is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Amount {
    pub done: u64,
    pub total: u64,
}

impl From<&Operation> for OperationView {
    fn from(operation: &Operation) -> Self {
        Self {
            id: operation.id,
            title: operation.title.clone(),
            cause: operation.cause.clone(),
            state: operation.state.slug().to_owned(),
            began: None,
            ended: None,
            steps: Amount {
                done: operation.done_steps.into(),
                total: operation.total_steps.into(),
            },
            bytes: Amount { done: operation.done_bytes, total: operation.total_bytes },
            bytes_per_s: operation.bytes_per_s,
            seconds_left: operation.seconds_left,
            blocked_by: operation.blocked_by.clone(),
        }
    }
}

impl OperationsView {
    /// One line an operation, the newest last.
    pub(crate) fn table(&self) -> String {
        if self.operations.is_empty() {
            return "no operations\n".to_owned();
        }
        let mut rows = vec![
            ["ID", "WHAT", "STATE", "STEPS", "BYTES", "LEFT", "BLOCKED BY"].map(str::to_owned),
        ];
        rows.extend(self.operations.iter().map(|operation| {
            let OperationView { steps, bytes, .. } = operation;
            let left = operation.seconds_left.map(duration);
            let blocked = match &operation.blocked_by[..] {
                [] => "-".to_owned(),
                [only] => only.clone(),
                [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
            };
            [
                operation.id.to_string(),
                operation.title.clone(),
                operation.state.clone(),
                format!("{}/{}", steps.done, steps.total),
                size(bytes.done),
                left.unwrap_or_else(|| "-".to_owned()),
                blocked,
            ]
        }));
        let mut text = table(&rows);
        if !self.from_leader {
            text.push_str(
                "placement's leader does not answer: time left and blockers are unknown\n",
            );
        }
        text
    }
}

impl OperationView {
    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// All that is known of it, one fact a line.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![
            format!("operation  {}", self.id),
            format!("what       {}", self.title),
            format!("cause      {}", self.cause),
            format!("state      {}", self.state),
        ];
        lines.extend(self.began.iter().map(|began| format!("began      {began}")));
        lines.extend(self.ended.iter().map(|ended| format!("ended      {ended}")));
        lines.push(format!("steps      {} of {} done", self.steps.done, self.steps.total));
        lines.push(format!(
            "bytes      {} of {} whose move has begun",
            size(self.bytes.done),
            size(self.bytes.total)
        ));
        lines.extend(self.bytes_per_s.map(|rate| format!("rate       {}/s", size(rate))));
        lines.extend(self.seconds_left.map(|left| format!("left       about {}", duration(left))));
        lines.extend(self.blocked_by.iter().map(|reason| format!("blocked by {reason}")));
        lines.join("\n") + "\n"
    }

    /// Where it stands, as one line.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "operation {} ({}): {}, {} of {} steps",
            self.id, self.title, self.state, self.steps.done, self.steps.total
        );
        if self.bytes.done > 0 {
            line.push_str(&format!(", {}", size(self.bytes.done)));
        }
        if let Some(left) = self.seconds_left.filter(|_| self.is_running()) {
            line.push_str(&format!(", about {} left", duration(left)));
        }
        line
    }
}

/// Bytes with a unit.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

/// Seconds as the two largest units that they fill.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const OPERATIONS: &str = r#"{"from_leader": true, "later": 1, "operations": [
        {"id": 6, "kind": "node_join", "title": "spread to new node 4", "nodes": [4],
         "cause": "registered", "state": "done", "began": "2026-11-27T20:05:06.789Z",
         "ended": "2026-11-27T20:06:06.789Z", "steps": {"done": 9, "total": 9},
         "bytes": {"done": 9000, "total": 9000}, "bytes_per_s": null, "seconds_left": null,
         "blocked_by": []},
        {"id": 7, "kind": "node_drain", "title": "drain of node 3", "nodes": [3],
         "cause": "requested", "state": "running", "began": "2026-11-27T20:05:06.789Z",
         "ended": null, "steps": {"done": 3, "total": 12},
         "bytes": {"done": 3145728, "total": 4194304}, "bytes_per_s": 1048576,
         "seconds_left": 90, "blocked_by": ["node 4 is silent", "no zone"]}
    ]}"#;

    pub(crate) fn operation() -> OperationView {
        let view: OperationsView = serde_json::from_str(OPERATIONS).expect("valid");
        view.operations[1].clone()
    }

    #[test]
    fn operations_are_a_line_each_with_what_blocks_them() {
        let view: OperationsView = serde_json::from_str(OPERATIONS).expect("valid");
        let expected = "\
ID  WHAT                  STATE    STEPS  BYTES    LEFT        BLOCKED BY
6   spread to new node 4  done     9/9    8.7 KiB  -           -
7   drain of node 3       running  3/12   3.0 MiB  1 min 30 s  node 4 is silent (and 1 more)
";
        assert_eq!(view.table(), expected);
        let behind = OperationsView { from_leader: false, ..view };
        assert!(behind.table().ends_with("time left and blockers are unknown\n"));
    }

    #[test]
    fn one_operation_is_shown_with_all_that_is_known() {
        let expected = "\
operation  7
what       drain of node 3
cause      requested
state      running
began      2026-11-27T20:05:06.789Z
steps      3 of 12 done
bytes      3.0 MiB of 4.0 MiB whose move has begun
rate       1.0 MiB/s
left       about 1 min 30 s
blocked by node 4 is silent
blocked by no zone
";
        assert_eq!(operation().text(), expected);
        let line = "operation 7 (drain of node 3): running, 3 of 12 steps, 3.0 MiB, about 1 min 30 s \
                    left";
        assert_eq!(operation().line(), line);
    }

    #[test]
    fn sizes_and_times_have_the_unit_that_fits() {
        let shown = [0, 1_023, 1_024, 1_536, 1 << 30, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 GiB", "16777215.9 TiB"]);
        assert_eq!(
            [59, 60, 3_599, 7_260].map(duration),
            ["59 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]
        );
    }
}
