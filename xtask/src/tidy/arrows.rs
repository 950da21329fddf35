//! Rule: which of our crates may import which (ARCHITECTURE.md, code map). Only imports of shipped
//! code count; tests may import any crate.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Each crate with its permitted imports, in one row or more. No crate may import one that is not
/// listed here.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("ringkv-topology", &[]),
    ("ringkv-telemetry", &[]),
    ("ringkv-kv-types", &[]),
    ("ringkv-budget", &[]),
    ("ringkv-proto", &["ringkv-kv-types", "ringkv-topology"]),
    ("ringkv-routing", &["ringkv-kv-types", "ringkv-proto", "ringkv-topology"]),
    ("ringkv-services", &["ringkv-proto"]),
    ("ringkv-consensus", &["ringkv-topology"]),
    ("ringkv-engine", &["ringkv-budget", "ringkv-consensus", "ringkv-topology"]),
    ("ringkv-raft-log", &["ringkv-consensus", "ringkv-topology"]),
    (
        "ringkv-transport",
        &[
            "ringkv-consensus",
            "ringkv-engine",
            "ringkv-proto",
            "ringkv-services",
            "ringkv-topology",
        ],
    ),
    (
        "ringkv-client",
        &[
            "ringkv-budget",
            "ringkv-kv-types",
            "ringkv-proto",
            "ringkv-routing",
            "ringkv-services",
            "ringkv-topology",
        ],
    ),
    ("ringkv-raft-metrics", &["ringkv-consensus"]),
    ("ringkv-data-dir", &[]),
    ("ringkv-placement-core", &["ringkv-consensus", "ringkv-proto", "ringkv-topology"]),
    ("ringkv-placement", SERVICE),
    ("ringkv-placement", &["ringkv-placement-core"]),
    (
        "ringkv-storage-core",
        &["ringkv-consensus", "ringkv-kv-types", "ringkv-proto", "ringkv-topology"],
    ),
    ("ringkv-storage-node", SERVICE),
    ("ringkv-storage-node", &["ringkv-storage-core"]),
    ("ringkv-gateway", &["ringkv-budget", "ringkv-client", "ringkv-topology", "ringkv-telemetry"]),
    (
        "ringkv-cli",
        &[
            "ringkv-client",
            "ringkv-data-dir",
            "ringkv-proto",
            "ringkv-services",
            "ringkv-topology",
            "ringkv-telemetry",
            "ringkv-placement",
            "ringkv-storage-node",
            "ringkv-gateway",
        ],
    ),
    ("xtask", &[]),
];

const SERVICE: &[&str] = &[
    "ringkv-consensus",
    "ringkv-data-dir",
    "ringkv-engine",
    "ringkv-proto",
    "ringkv-raft-log",
    "ringkv-raft-metrics",
    "ringkv-services",
    "ringkv-telemetry",
    "ringkv-topology",
    "ringkv-transport",
];

/// May import every crate; no crate may import them.
const OUTERMOST: &[&str] = &["ringkv-simulation", "ringkv-cluster-tests"];

/// Has no code. Every crate depends on it, so that dependencies have the same features everywhere.
const FEATURES: &str = "ringkv-features";

/// Complains about each import that is not permitted.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    Ok(complaints(&arrows(&metadata)))
}

/// All shipped dependencies among our own crates, as (importer, imported).
fn arrows(metadata: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let mut arrows = Vec::new();
    for package in list(&metadata["packages"]) {
        for dependency in list(&package["dependencies"]) {
            let is_ours = dependency["path"].is_string();
            let is_shipped = dependency["kind"] != "dev";
            if is_ours && is_shipped {
                arrows.push((name(&package), name(&dependency)));
            }
        }
    }
    arrows
}

fn complaints(arrows: &[(String, String)]) -> Vec<String> {
    arrows
        .iter()
        .filter(|(importer, imported)| !is_allowed(importer, imported))
        .map(|(importer, imported)| format!("{importer} may not import {imported}"))
        .collect()
}

fn is_allowed(importer: &str, imported: &str) -> bool {
    if imported == FEATURES {
        return true;
    }
    if OUTERMOST.contains(&importer) {
        return !OUTERMOST.contains(&imported);
    }
    MAY_IMPORT.iter().any(|(name, names)| *name == importer && names.contains(&imported))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{arrows, complaints};

    #[test]
    fn the_gateway_importing_the_storage_node_is_named_and_a_test_of_it_is_not() {
        let metadata = json!({"packages": [{
            "name": "ringkv-gateway",
            "dependencies": [
                {"name": "ringkv-storage-node", "path": "x", "kind": null},
                {"name": "ringkv-placement", "path": "x", "kind": "dev"},
                {"name": "ringkv-client", "path": "x", "kind": null},
                {"name": "tokio", "kind": null},
            ],
        }]});
        let found = complaints(&arrows(&metadata));
        assert_eq!(found, ["ringkv-gateway may not import ringkv-storage-node"]);
    }
}
