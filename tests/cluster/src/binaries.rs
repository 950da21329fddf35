//! Where the binaries under test are.
//!
//! Cargo says where the programs of this checkout are, asked at run time. Never derived from where
//! the running test lies: checkouts share one build directory.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The path of the binary `name`.
///
/// # Errors
/// It has not been built.
pub(crate) fn path(name: &str) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(
        path.is_file(),
        "{} is not there: run `cargo build --workspace --bins` first, or set RINGKV_BIN_DIR",
        path.display()
    );
    Ok(path)
}

/// `RINGKV_BIN_DIR`, else `debug` in cargo's target folder.
fn folder() -> anyhow::Result<&'static PathBuf> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    if let Some(folder) = FOLDER.get() {
        return Ok(folder);
    }
    let folder = match env::var_os("RINGKV_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => target()?.join("debug"),
    };
    Ok(FOLDER.get_or_init(|| folder))
}

fn target() -> anyhow::Result<PathBuf> {
    // Both are set for a test by cargo and by nextest; a test binary run by hand has neither.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(package)
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let target = metadata["target_directory"].as_str();
    target.map(PathBuf::from).context("cargo metadata has no target_directory")
}
