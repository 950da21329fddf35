//! get, put and del: bytes, exit codes, and error messages.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use anyhow::ensure;
use ringkv_cluster_tests::{Output, Shape, free_port, ringkv, run};

struct Shell {
    gateway: String,
}

impl Shell {
    /// Runs `ringkv` with a gateway; fails unless it exits with `code`.
    async fn run(&self, args: &[&str], stdin: &[u8], code: i32) -> anyhow::Result<Output> {
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        self.run_os(args, stdin, code).await
    }

    async fn run_os(
        &self,
        mut args: Vec<OsString>,
        stdin: &[u8],
        code: i32,
    ) -> anyhow::Result<Output> {
        args.push(format!("--gateway={}", self.gateway).into());
        let output = ringkv(&args, stdin).await?;
        ensure!(output.code == code, "{args:?}: expected exit code {code}: {output:?}");
        Ok(output)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_go_in_and_come_out_and_exit_codes_tell_outcomes_apart() -> anyhow::Result<()> {
    let shape = Shape { nodes: 1, gateways: 1, replication_factor: 1, ..Shape::default() };
    run(shape, async |cluster| {
        let shell = Shell { gateway: format!("http://{}", cluster.gateways[0].address) };
        values(&shell).await?;
        conditions(&shell).await?;
        raw_keys(&shell).await?;

        cluster.gateways[0].kill();
        let output = shell.run(&["put", "k", "v"], b"", 3).await?;
        ensure!(output.stderr.contains("applied: no"), "{output:?}");
        ensure!(output.stderr.contains("next: "), "{output:?}");
        Ok(())
    })
    .await
}

async fn values(shell: &Shell) -> anyhow::Result<()> {
    shell.run(&["get", "greeting"], b"", 1).await?;
    shell.run(&["put", "greeting", "hello"], b"", 0).await?;
    ensure!(shell.run(&["get", "greeting"], b"", 0).await?.stdout == b"hello");

    let bytes: Vec<u8> = (0..=255).collect();
    shell.run(&["put", "binary", "-"], &bytes, 0).await?;
    ensure!(shell.run(&["get", "binary"], b"", 0).await?.stdout == bytes);

    let previous = shell.run(&["put", "binary", "new", "--previous"], b"", 0).await?;
    ensure!(previous.stdout == bytes, "{previous:?}");

    let json = shell.run(&["get", "greeting", "--json"], b"", 0).await?.stdout;
    let json: serde_json::Value = serde_json::from_slice(&json)?;
    ensure!(json["value"] == "hello", "{json}");

    let previous = shell.run(&["del", "greeting", "--previous", "--json"], b"", 0).await?;
    let json: serde_json::Value = serde_json::from_slice(&previous.stdout)?;
    ensure!(json["previous"]["value"] == "hello", "{json}");
    shell.run(&["del", "greeting"], b"", 1).await?;
    Ok(())
}

async fn conditions(shell: &Shell) -> anyhow::Result<()> {
    shell.run(&["put", "lock", "me", "--if-absent"], b"", 0).await?;
    let taken = shell.run(&["put", "lock", "you", "--if-absent"], b"", 1).await?;
    ensure!(taken.stderr.contains("applied: no"), "{taken:?}");

    let written = shell.run(&["put", "counter", "1", "--json"], b"", 0).await?.stdout;
    let written: serde_json::Value = serde_json::from_slice(&written)?;
    let revision = written["revision"].to_string();
    shell.run(&["put", "counter", "2", "--if-match", &revision], b"", 0).await?;
    shell.run(&["put", "counter", "3", "--if-match", &revision], b"", 1).await?;
    ensure!(shell.run(&["get", "counter"], b"", 0).await?.stdout == b"2");

    let put = ["put", "once", "x", "--if-absent", "--idempotency-key", "a-request-of-mine"];
    shell.run(&put, b"", 0).await?;
    shell.run(&put, b"", 0).await?;

    let too_large = vec![b'x'; 1024 * 1024 + 1];
    let refused = shell.run(&["put", "large", "-"], &too_large, 2).await?;
    ensure!(refused.stderr.contains("1048576"), "the limit is named: {refused:?}");
    Ok(())
}

async fn raw_keys(shell: &Shell) -> anyhow::Result<()> {
    for key in [&b"\xff\xfe/\x80"[..], b"../..", b"//", b"%2F", b"a b+c?d#e"] {
        let key = OsString::from_vec(key.to_vec());
        shell.run_os(vec!["put".into(), key.clone(), "raw".into()], b"", 0).await?;
        let found = shell.run_os(vec!["get".into(), key.clone()], b"", 0).await?;
        ensure!(found.stdout == b"raw", "{key:?}: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_commands_exit_2_and_help_exits_0() -> anyhow::Result<()> {
    for args in [&["frobnicate"][..], &["put", "key"], &["get"], &["get", "k", "--gateway=ftp://x"]]
    {
        let output = ringkv(args, b"").await?;
        ensure!(output.code == 2 && output.stdout.is_empty(), "{args:?}: {output:?}");
    }
    let help = ringkv(&["--help"], b"").await?;
    ensure!(help.code == 0 && String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    let nobody = format!("http://127.0.0.1:{}/readyz", free_port()?);
    ensure!(ringkv(&["health", &nobody], b"").await?.code == 1);
    Ok(())
}
