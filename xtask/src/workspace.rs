//! Where the source tree, the built programs and the cache of this machine are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The root folder of the source tree.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the workspace").to_owned()
}

/// The folder of the programs of the release profile: this one runs from there.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    let me = std::env::current_exe().context("find this program")?;
    Ok(me.parent().context("find this program's folder")?.to_owned())
}

/// The path of one built program of ours.
///
/// # Errors
/// When it has not been built yet.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = programs()?.join(name);
    ensure!(path.exists(), "{name} is not built: cargo build --release --workspace --bins");
    Ok(path)
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
    if let Some(folder) = std::env::var_os("RINGKV_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let user = std::env::var_os("HOME").context("neither RINGKV_CACHE nor HOME is set")?;
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
