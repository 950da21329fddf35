//! Where the binaries under test are.

use std::path::PathBuf;

use anyhow::{Context, ensure};

/// The path of the binary `name`.
///
/// # Errors
/// It has not been built.
pub(crate) fn path(name: &str) -> anyhow::Result<PathBuf> {
    let dir = match std::env::var_os("RINGKV_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            // target/release/deps/it-<hash> → target/release
            let test = std::env::current_exe().context("find the running test")?;
            let deps = test.parent().and_then(|deps| deps.parent());
            deps.context("find the target directory above the running test")?.to_owned()
        }
    };
    let path = dir.join(name);
    ensure!(
        path.is_file(),
        "{} is not there: run `cargo build --release --workspace` first, or set RINGKV_BIN_DIR",
        path.display()
    );
    Ok(path)
}
