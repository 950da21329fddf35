//! Logs: they contain no user data, and a reader that has stopped does not delay requests.

use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{PathForm, Shape, metric, run, send, until_ok};

const KEY: &str = "canary-key-7f3a9c51";
const VALUE: &str = "canary-value-e81b40d2";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_at_its_finest_holds_no_key_and_no_value() -> anyhow::Result<()> {
    for format in ["text", "json"] {
        let flags = vec!["--log-level=trace".to_owned(), format!("--log-format={format}")];
        let shape = Shape { flags, ..Shape::default() };
        run(shape, async |cluster| {
            let gateway = &cluster.clients()?[0];
            let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
            gateway.put(KEY.as_bytes(), VALUE).await?.expect(201)?;
            gateway.put(KEY.as_bytes(), VALUE).await?.expect(204)?;
            gateway.get(KEY.as_bytes()).await?.expect(200)?;
            let absent = format!("absent {KEY}");
            gateway.get(absent.as_bytes()).await?.expect(404)?;
            for key in [KEY, "%zz"] {
                let request = gateway
                    .on_path("DELETE".parse()?, &format!("/kv/{key}?return=previous"))
                    .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
                ensure!(send(request).await?.status < 500, "the delete of {key}");
            }
            let refused = gateway
                .on_key("PUT".parse()?, KEY.as_bytes(), PathForm::Base64)
                .header("if-match", "\"1\"")
                .body(VALUE);
            send(refused).await?.expect(412)?;
            // A separate thread writes lines: wait until the line of the last request is written.
            until_ok("the line of a request by its trace", Duration::from_secs(10), async || {
                let log = cluster.gateways[0].log()?;
                let line = log.lines().find(|line| line.contains(trace));
                line.map(str::to_owned).context("no line names the trace")
            })
            .await?;
            for service in cluster.services() {
                let log = service.log()?;
                let lines = log.lines().filter(|line| line.contains("canary")).count();
                let first = log.lines().find(|line| line.contains("canary"));
                ensure!(lines == 0, "{} wrote {lines} such lines: {first:?}", service.name);
                ensure!(log.contains("TRACE"), "{} does not log finely", service.name);
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_nobody_up() -> anyhow::Result<()> {
    /// More lines than the queue and the pipe hold together.
    const LINES_LOST: f64 = 1_000.0;
    let flags = vec!["--log-level=trace".to_owned()];
    run(Shape { flags, gateways: 1, ..Shape::default() }, async |cluster| {
        for service in [&mut cluster.gateways[0], &mut cluster.nodes[0]] {
            service.kill();
            service.start_unread()?;
            service.ready().await?;
        }
        let gateway = &cluster.clients()?[0];
        until_ok("lost lines", Duration::from_secs(60), async || {
            for number in 0..100 {
                let key = format!("key {number}");
                let answer = gateway.put(key.as_bytes(), "value").await?;
                ensure!(answer.is_success(), "{}", answer.shown());
            }
            let metrics = &cluster.gateways[0].metrics;
            let lost = metric(metrics, "ringkv_log_lines_dropped_total").await?;
            ensure!(lost > LINES_LOST, "{lost} lines are lost");
            Ok(())
        })
        .await?;
        gateway.put(b"still", "served").await?.expect(201)?;
        let stopped = cluster.gateways[0].stop(Duration::from_secs(15)).await?;
        ensure!(stopped.code() == Some(0), "the gateway ended with {stopped}");
        Ok(())
    })
    .await
}
