//! Rule: what decides is pure. Each core crate is built without a runtime, a storage engine, a
//! channel, a lock or a log, names no source of randomness, and its clippy.toml bans the clocks,
//! files, sockets, threads and environment of the standard library: time comes to it as an argument
//! and randomness as a seed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::source::Source;

/// A core crate.
struct Core {
    folder: &'static str,
    package: &'static str,
    /// Of [`IMPURE`], what it may bring in nevertheless.
    exceptions: &'static [&'static str],
}

const CORES: &[Core] = &[
    core("crates/topology", "ringkv-topology"),
    core("crates/kv-types", "ringkv-kv-types"),
    core("crates/routing", "ringkv-routing"),
    core("crates/consensus", "ringkv-consensus"),
    core("placement/core", "ringkv-placement-core"),
    Core {
        // Threads of the node read groups while apply changes them, and clones of the store in
        // memory share its rows.
        exceptions: &["parking_lot"],
        ..core("storage-node/core", "ringkv-storage-core")
    },
];

const fn core(folder: &'static str, package: &'static str) -> Core {
    Core { folder, package, exceptions: &[] }
}

/// Packages that a core may not bring in, however far down.
const IMPURE: &[&str] =
    &["tokio", "tonic", "rocksdb", "crossbeam-channel", "parking_lot", "tracing"];

/// Packages that a core may not depend on itself. Further down they are allowed: raft-rs brings in
/// `rand` for its timeouts, which the core replaces by its own from a seed.
const RANDOM: &[&str] = &["rand", "getrandom", "fastrand"];

/// What the clippy.toml of each bans at least.
const BANNED: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs::File",
    "std::fs::OpenOptions",
    "std::fs::copy",
    "std::fs::create_dir",
    "std::fs::create_dir_all",
    "std::fs::metadata",
    "std::fs::read",
    "std::fs::read_dir",
    "std::fs::read_to_string",
    "std::fs::remove_dir_all",
    "std::fs::remove_file",
    "std::fs::rename",
    "std::fs::write",
    "std::path::Path::exists",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process::Command",
    "std::thread::scope",
    "std::thread::sleep",
    "std::thread::spawn",
    "std::env::args",
    "std::env::args_os",
    "std::env::var",
    "std::env::var_os",
];

/// Complains about each ban that a core crate lacks and each impure package that it brings in.
pub(crate) fn check(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for core in CORES {
        complaints.extend(lacking(core.folder, sources));
        complaints.extend(named(core, &dependencies(root, core.package, "--depth=999")?, IMPURE));
        complaints.extend(named(core, &dependencies(root, core.package, "--depth=1")?, RANDOM));
    }
    Ok(complaints)
}

fn lacking(folder: &str, sources: &[Source]) -> Vec<String> {
    let file = format!("{folder}/clippy.toml");
    let text = sources.iter().find(|source| source.path == Path::new(&file));
    let text = text.map_or("", |source| source.text.as_str());
    let bans = |name: &&&str| !text.contains(&format!("path = \"{name}\""));
    BANNED.iter().filter(bans).map(|name| format!("{file}: it does not ban {name}")).collect()
}

/// Every package that `package` is built from, down to this depth, one a line.
fn dependencies(root: &Path, package: &str, depth: &str) -> anyhow::Result<String> {
    let output = Command::new("cargo")
        .args(["tree", "--offline", "--edges=normal", "--prefix=none", "--format={p}"])
        .args(["--package", package, depth])
        .current_dir(root)
        .output()
        .context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("read cargo tree")
}

/// Complains about each of the `banned` packages in the tree.
fn named(core: &Core, tree: &str, banned: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| banned.contains(name) && !core.exceptions.contains(name))
        .map(|name| format!("{} is a core crate and may not bring in {name}", core.package))
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::{BANNED, Core, IMPURE, RANDOM, lacking, named};
    use crate::tidy::source::source;

    #[test]
    fn a_core_without_a_ban_is_named() {
        let all: String = BANNED
            .iter()
            .map(|name| format!("{{ path = \"{name}\", reason = \"x\" }},\n"))
            .collect();
        assert_eq!(lacking("a", &[source("a/clippy.toml", &all)]), Vec::<String>::new());
        let most = all.replace("\"std::thread::spawn\"", "\"std::thread::park\"");
        let expected = ["a/clippy.toml: it does not ban std::thread::spawn"];
        assert_eq!(lacking("a", &[source("a/clippy.toml", &most)]), expected);
        assert_eq!(lacking("a", &[source("b/clippy.toml", &all)]).len(), BANNED.len());
    }

    #[test]
    fn a_runtime_far_down_is_named() {
        let tree = "a v0.1.0 (/a)\nbytes v1.0.0\ntokio v1.0.0\ntokio-util v0.7.0\n";
        let core = super::core("x", "a");
        assert_eq!(named(&core, tree, IMPURE), ["a is a core crate and may not bring in tokio"]);
        let excepted = Core { exceptions: &["tokio"], ..core };
        assert_eq!(named(&excepted, tree, IMPURE), Vec::<String>::new());
    }

    #[test]
    fn a_source_of_randomness_is_named() {
        let tree = "a v0.1.0 (/a)\nbytes v1.0.0\nrand v0.9.0\n";
        let core = super::core("x", "a");
        assert_eq!(named(&core, tree, RANDOM), ["a is a core crate and may not bring in rand"]);
    }
}
