//! `cargo xtask features`: no dependency is compiled again for another package or another profile.
//!
//! Compares what cargo would compile for each package with what it compiles for the workspace: the
//! same crate with other features, or on top of such a crate, is compiled again. Reads cargo's unit
//! graph, the only exact answer; its format is unstable, and the toolchain is pinned. Compiles
//! nothing.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::workspace;

/// Has the features that all other packages share; of no use alone.
const FEATURES: &str = "ringkv-features";

#[derive(Deserialize)]
struct Graph {
    units: Vec<Unit>,
}

/// One call of the compiler.
#[derive(Deserialize)]
struct Unit {
    pkg_id: String,
    target: Value,
    profile: Value,
    mode: String,
    features: Vec<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    index: usize,
    extern_crate_name: String,
}

impl Unit {
    fn is_ours(&self) -> bool {
        self.pkg_id.starts_with("path+")
    }

    fn name(&self) -> &str {
        self.pkg_id.rsplit_once('#').map_or(&self.pkg_id, |(_, name)| name)
    }
}

/// The units of other people's crates, each by a digest of all that its compiled form depends on.
type Units = BTreeMap<u64, Unit>;

pub(crate) fn run() -> anyhow::Result<()> {
    let whole = units(&["--workspace", "--all-targets"])?;
    let mut complaints = BTreeSet::new();
    for arguments in selections()? {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let again: Vec<Unit> = units(&words)?
            .into_iter()
            .filter(|(key, _)| !whole.contains_key(key))
            .map(|(_, unit)| unit)
            .collect();
        complaints.extend(again.iter().map(|unit| {
            format!("cargo build {} compiles {}", arguments.join(" "), describe(unit, &whole))
        }));
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    ensure!(
        complaints.is_empty(),
        "features: {} crates are compiled again: crates/features/Cargo.toml says what to do",
        complaints.len()
    );
    println!("features: {} crates, each compiled once", whole.len());
    Ok(())
}

/// The ways to call cargo that must not compile a dependency again.
fn selections() -> anyhow::Result<Vec<Vec<String>>> {
    let mut selections = vec![
        vec!["--workspace".to_owned(), "--bins".to_owned()],
        vec![
            "--workspace".to_owned(),
            "--all-targets".to_owned(),
            "--config".to_owned(),
            workspace::OPTIMIZED.to_owned(),
        ],
    ];
    for package in workspace::packages()?.into_iter().filter(|package| package != FEATURES) {
        selections.push(vec!["-p".to_owned(), package.clone()]);
        selections.push(vec!["-p".to_owned(), package, "--all-targets".to_owned()]);
    }
    Ok(selections)
}

/// The crate, and how its features differ from those in the workspace, if they do.
fn describe(unit: &Unit, whole: &Units) -> String {
    let features = |unit: &Unit| unit.features.iter().cloned().collect::<BTreeSet<_>>();
    let mine = features(unit);
    let missing = whole
        .values()
        .filter(|other| other.pkg_id == unit.pkg_id && other.mode == unit.mode)
        .map(|other| features(other).symmetric_difference(&mine).cloned().collect::<Vec<_>>())
        .min_by_key(Vec::len);
    match missing {
        None => format!("{}, which the workspace does not", unit.name()),
        Some(features) if features.is_empty() => {
            format!("{} again, for a dependency of it", unit.name())
        }
        Some(features) => format!("{} again: features {}", unit.name(), features.join(", ")),
    }
}

/// What `cargo build` with these arguments would compile of other people's crates.
fn units(arguments: &[&str]) -> anyhow::Result<Units> {
    let output = workspace::plain_cargo()?
        .args(["build", "--offline", "-Zunstable-options", "--unit-graph"])
        .args(arguments)
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .context("run cargo build --unit-graph")?;
    ensure!(output.status.success(), "cargo: {}", String::from_utf8_lossy(&output.stderr));
    let graph: Graph = serde_json::from_slice(&output.stdout).context("read the unit graph")?;
    let mut keys = vec![None; graph.units.len()];
    for index in 0..graph.units.len() {
        key(&graph.units, index, &mut keys);
    }
    let keyed = keys.into_iter().flatten().zip(graph.units);
    Ok(keyed.filter(|(_, unit)| !unit.is_ours()).collect())
}

/// A digest of the unit and of all below it.
fn key(units: &[Unit], index: usize, keys: &mut [Option<u64>]) -> u64 {
    if let Some(key) = keys[index] {
        return key;
    }
    let unit = &units[index];
    let mut below: Vec<(&str, u64)> = unit
        .dependencies
        .iter()
        .map(|dependency| {
            (dependency.extern_crate_name.as_str(), key(units, dependency.index, keys))
        })
        .collect();
    below.sort_unstable();
    let mut hasher = DefaultHasher::new();
    (&unit.pkg_id, &unit.mode, &unit.features, below).hash(&mut hasher);
    (unit.target.to_string(), unit.profile.to_string()).hash(&mut hasher);
    *keys[index].insert(hasher.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Graph, key};

    /// The key of a crate over a crate with these features.
    fn key_over(features: &[&str]) -> u64 {
        let unit = |name: &str, features: &[&str], below: &[usize]| {
            json!({
                "pkg_id": format!("registry#{name}@1.0.0"),
                "target": {"kind": ["lib"]},
                "profile": {"opt_level": "3"},
                "mode": "build",
                "features": features,
                "dependencies": below.iter().map(|index| json!({
                    "index": index, "extern_crate_name": "below",
                })).collect::<Vec<_>>(),
            })
        };
        let units = json!({"units": [unit("above", &[], &[1]), unit("below", features, &[])]});
        let graph: Graph = serde_json::from_value(units).expect("a unit graph");
        key(&graph.units, 0, &mut [None, None])
    }

    #[test]
    fn a_feature_of_a_dependency_changes_what_is_built_on_it() {
        assert_eq!(key_over(&["std"]), key_over(&["std"]));
        assert_ne!(key_over(&["std"]), key_over(&["alloc", "std"]));
    }
}
