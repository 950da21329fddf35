//! A small separate file system for the tests of a full disk.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// A mounted tmpfs; unmounted when dropped.
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// Mounts one of `mebibytes`.
    ///
    /// # Errors
    /// Mounting is not allowed here (it needs root).
    pub fn mount(mebibytes: u32) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("ringkv-tmpfs-").tempdir()?;
        let size = format!("size={mebibytes}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(dir.path()))?;
        Ok(Self { dir })
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a file that is still open must not keep the mount for ever.
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.path())) {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("cannot unmount {}: {error:#}\n", self.path().display()).as_bytes(),
            );
        }
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(())
}
