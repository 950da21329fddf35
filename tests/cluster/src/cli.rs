//! Runs the `ringkv` command to its end.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::binaries;

const DEADLINE: Duration = Duration::from_secs(20);

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs `ringkv` with `args` and `stdin`, in an empty environment.
///
/// # Errors
/// The command cannot be started, did not end in time, or was killed by a signal.
pub async fn ringkv<A: AsRef<OsStr>>(args: &[A], stdin: &[u8]) -> anyhow::Result<Output> {
    let mut child = Command::new(binaries::path("ringkv")?)
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start ringkv")?;
    let mut pipe = child.stdin.take().context("standard input is piped")?;
    // A command that does not read its input closes the pipe; that is not an error here.
    let _ = pipe.write_all(stdin).await;
    drop(pipe);
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .context("ringkv ends in time")??;
    Ok(Output {
        code: output.status.code().context("ringkv was not killed")?,
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
