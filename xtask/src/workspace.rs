//! Where the source tree, the built programs and the cache of this machine are.
//!
//! Cargo says where the tree and its programs are, asked at run time. Never derived from where this
//! program lies or was compiled: checkouts share one build directory, and a program built in one
//! must not work on the tree of the other.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// What CI tests, the benchmark measures and the image ships.
pub(crate) const OPTIMIZED: &str = ".cargo/optimized.toml";

/// The variables with which `cargo run` describes the package that it runs.
const OF_THIS_PACKAGE: &[&str] = &["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_"];

struct Tree {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<String>,
}

/// The root folder of the source tree.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    Ok(tree()?.root.clone())
}

/// The folder for what is made from this tree: the programs, logs, data of benchmarks.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    Ok(tree()?.target.clone())
}

/// The names of our own packages.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn packages() -> anyhow::Result<Vec<String>> {
    Ok(tree()?.packages.clone())
}

/// The path of one built program of ours.
///
/// # Errors
/// When it has not been built yet.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = tree()?.target.join("debug").join(name);
    ensure!(path.exists(), "{name} is not built: cargo build --workspace --bins");
    Ok(path)
}

/// Cargo, to run in the root with the settings that this program itself was built with.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn cargo() -> anyhow::Result<Command> {
    if cfg!(debug_assertions) { plain_cargo() } else { optimized_cargo() }
}

/// Cargo, to run in the root with the settings of what ships.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn optimized_cargo() -> anyhow::Result<Command> {
    let mut command = plain_cargo()?;
    command.args(["--config", OPTIMIZED]);
    Ok(command)
}

/// Cargo, to run in the root with the settings of daily work.
///
/// # Errors
/// When cargo finds no workspace.
pub(crate) fn plain_cargo() -> anyhow::Result<Command> {
    let mut command = cargo_program();
    command.current_dir(root()?);
    Ok(command)
}

/// The cargo that runs this program, without what it says about the package of this program: ring's
/// build script asks for these variables, so cargo would compile ring and all that needs it again.
fn cargo_program() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THIS_PACKAGE.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn tree() -> anyhow::Result<&'static Tree> {
    static TREE: OnceLock<Tree> = OnceLock::new();
    if let Some(tree) = TREE.get() {
        return Ok(tree);
    }
    let tree = ask_cargo()?;
    Ok(TREE.get_or_init(|| tree))
}

fn ask_cargo() -> anyhow::Result<Tree> {
    let mut command = cargo_program();
    command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    // Set by `cargo run`: the package in the checkout that cargo was called in. Without it, the
    // current folder decides.
    if let Some(package) = env::var_os("CARGO_MANIFEST_DIR") {
        command.current_dir(package);
    }
    let output = command.output().context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let path = |name: &str| {
        let path = metadata[name].as_str().map(PathBuf::from);
        path.with_context(|| format!("cargo metadata has no {name}"))
    };
    let names = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let packages =
        names.iter().filter_map(|package| package["name"].as_str().map(str::to_owned)).collect();
    Ok(Tree { root: path("workspace_root")?, target: path("target_directory")?, packages })
}

/// The path of something that `make setup` fetches once and keeps.
///
/// # Errors
/// When it is not there.
pub(crate) fn fetched(name: &str) -> anyhow::Result<PathBuf> {
    let path = cache()?.join(name);
    ensure!(path.exists(), "{name} is not there: run 'make setup'");
    Ok(path)
}

/// `RINGKV_CACHE`, else a folder in the user's home.
fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("RINGKV_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let user = env::var_os("HOME").context("neither RINGKV_CACHE nor HOME is set")?;
    Ok(PathBuf::from(user).join(".cache/ringkv"))
}

/// The files that git tracks or would track, relative to the root, sorted.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("list files with git")?;
    ensure!(listing.status.success(), "git ls-files failed");
    let names = String::from_utf8(listing.stdout).context("read file names")?;
    let mut files: Vec<PathBuf> = names
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter(|f| root.join(f).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
