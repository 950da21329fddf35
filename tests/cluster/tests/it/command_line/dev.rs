//! `ringkv dev`: ready line, temporary and kept data, taken ports, signals.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{Collector, Gateway, Process, free_port, until_ok};

const READY: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(20);

/// A running `ringkv dev` and the address of its gateway.
struct Dev {
    process: Process,
    gateway: Gateway,
}

impl Dev {
    /// Starts it with its files below `dir` and waits for its ready line.
    async fn start(dir: &Path, args: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(dir, args, &[]).await
    }

    /// Like [`Dev::start`], with an environment.
    async fn start_in(
        dir: &Path,
        args: &[&str],
        environment: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let args: Vec<String> = ["dev"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        // A separate log for every start, so that an old ready line is not mistaken for a new one.
        let number = std::fs::read_dir(dir)?.count();
        let log = dir.join(format!("dev-{number}.log"));
        let mut variables = vec![("TMPDIR", dir.as_os_str())];
        variables.extend(environment.iter().map(|(name, value)| (*name, OsStr::new(value))));
        let process = Process::start_with("dev", "ringkv", &args, &variables, &log)?;
        let ready = until_ok("the ready line", READY, async || {
            let output = process.output()?;
            let line = output.strip_suffix('\n').with_context(|| {
                format!("no line yet: {output:?}, log: {}", process.log().unwrap_or_default())
            })?;
            let address = line.strip_prefix("ready http://");
            Ok(address.with_context(|| format!("another output: {output}"))?.to_owned())
        })
        .await?;
        Ok(Self { gateway: Gateway::new(&ready)?, process })
    }

    /// Sends SIGTERM and waits for the exit.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.process.terminate()?;
        let status = self.process.exit(STOP).await?;
        let log = self.process.log()?;
        ensure!(status.code() == Some(0), "dev ended with {status}: {log}");
        ensure!(!log.contains("panicked"), "{log}");
        let output = self.process.output()?;
        ensure!(output.lines().count() == 1, "more than the ready line: {output}");
        Ok(())
    }
}

fn listen() -> anyhow::Result<String> {
    Ok(format!("--listen=127.0.0.1:{}", free_port()?))
}

fn temporary_directories(dir: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(dir)? {
        count += usize::from(entry?.file_type()?.is_dir());
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_cluster_serves_and_leaves_nothing_behind() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let dev = Dev::start(dir.path(), &[&listen()?]).await?;
    // After the ready line the first write succeeds.
    dev.gateway.put(b"greeting", "hello").await?.expect(201)?;
    let found = dev.gateway.get(b"greeting").await?.expect(200)?;
    ensure!(found.body == "hello", "found {:?}", found.body);
    ensure!(dev.process.log()?.matches("curl ").count() == 2, "two examples are shown");
    ensure!(temporary_directories(dir.path())? == 1, "its data is in a temporary directory");
    dev.stop().await?;
    ensure!(temporary_directories(dir.path())? == 0, "the temporary directory is still there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_directory_has_the_same_data_after_restart_and_after_ports_changed()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let data_dir = format!("--data-dir={}", data.display());
    let dev = Dev::start(dir.path(), &[&data_dir, &listen()?]).await?;
    for number in 0..100 {
        dev.gateway
            .put(format!("key {number}").as_bytes(), number.to_string())
            .await?
            .expect(201)?;
    }
    dev.stop().await?;

    // Other listeners now use a node's port and placement's port.
    let layout: serde_json::Value = serde_json::from_slice(&std::fs::read(data.join("dev.json"))?)?;
    let mut taken = Vec::new();
    for port in [&layout["nodes"][0]["grpc"], &layout["placement_port"]] {
        let port = u16::try_from(port.as_u64().context("a remembered port")?)?;
        taken.push(TcpListener::bind(("127.0.0.1", port)).context("take a remembered port")?);
    }
    let dev = Dev::start(dir.path(), &[&data_dir, &listen()?]).await?;
    let log = dev.process.log()?;
    for listener in &taken {
        let said = format!("port {} is taken, using", listener.local_addr()?.port());
        ensure!(log.contains(&said), "the log does not contain {said}: {log}");
    }
    for number in 0..100 {
        let key = format!("key {number}");
        let found = dev.gateway.get(key.as_bytes()).await?.expect(200).context(key)?;
        ensure!(found.body == number.to_string(), "found {:?}", found.body);
    }
    dev.gateway.put(b"key 0", "changed").await?.expect(204)?;
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn single_node_cluster_works() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let dev = Dev::start(dir.path(), &["--nodes=1", &listen()?]).await?;
    dev.gateway.put(b"key", "value").await?.expect(201)?;
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_of_one_process_traces_under_its_own_name() -> anyhow::Result<()> {
    let (dir, collector) = (tempfile::tempdir()?, Collector::start()?);
    let dev = Dev::start_in(dir.path(), &[&listen()?], &collector.environment()).await?;
    dev.gateway.put(b"greeting", "hello").await?.expect(201)?;
    until_ok("spans of each service", Duration::from_secs(10), async || {
        let spans = collector.spans();
        let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
        let expected = ["ringkv-gateway", "ringkv-placement", "ringkv-storage-node"];
        ensure!(services == BTreeSet::from(expected), "so far: {services:?}");
        Ok(())
    })
    .await?;
    dev.stop().await
}
