//! One trace from the client's `traceparent` through every process, received by a real collector.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{
    Answer, Collector, Gateway, PathForm, ReceivedSpan, Shape, group_of, leader_of, run, send,
    until_ok,
};

const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
const CANARY: &[u8] = b"canary-key";

fn shape(collector: &Collector) -> Shape {
    Shape { environment: collector.environment(), gateways: 1, ..Shape::default() }
}

/// Sends a request with a parent span; returns its trace id and the answer.
async fn traced(
    gateway: &Gateway,
    method: &str,
    key: &[u8],
    flags: &str,
) -> anyhow::Result<(String, Answer)> {
    let trace = format!("{:032x}", rand::random::<u128>());
    let method = method.parse().context("a method")?;
    let request = gateway
        .on_key(method, key, PathForm::Path)
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-{flags}"))
        .header("tracestate", "vendor=1")
        .body("value");
    Ok((trace, send(request).await?))
}

/// The spans of a trace, as soon as `enough` holds for them.
async fn spans_of(
    collector: &Collector,
    trace: &str,
    enough: impl Fn(&[ReceivedSpan]) -> bool,
) -> anyhow::Result<Vec<ReceivedSpan>> {
    until_ok("the spans of the trace", ARRIVES_WITHIN, async || {
        let spans = collector.trace(trace);
        ensure!(enough(&spans), "so far: {spans:#?}");
        Ok(spans)
    })
    .await
}

fn the<'a>(
    spans: &'a [ReceivedSpan],
    name: &str,
    service: &str,
) -> anyhow::Result<&'a ReceivedSpan> {
    let mut found = spans.iter().filter(|span| span.name == name && span.service == service);
    let first = found.next().with_context(|| format!("{name} of {service} in {spans:#?}"))?;
    ensure!(found.next().is_none(), "{name} of {service} is there twice");
    Ok(first)
}

/// Checks the path from the client's span to the storage node's span, and returns the children of
/// the latter.
fn check_path(
    spans: &[ReceivedSpan],
    method: &str,
    call: &str,
) -> anyhow::Result<BTreeSet<String>> {
    let server = the(spans, &format!("{method} /kv/{{key}}"), "ringkv-gateway")?;
    let attempt = the(spans, call, "ringkv-gateway")?;
    let node = the(spans, call, "ringkv-storage-node")?;
    ensure!(server.parent == "00f067aa0ba902b7", "the client's span is the parent: {server:?}");
    ensure!(attempt.parent == server.id && node.parent == attempt.id, "{spans:#?}");
    ensure!(attempt.attribute("server.address") == node.instance, "{attempt:?} led to {node:?}");
    ensure!(server.attribute("http.route") == "/kv/{key}", "{server:?}");
    ensure!(spans.iter().all(|span| span.state == "vendor=1"), "tracestate is kept: {spans:#?}");
    let parts: Vec<_> = spans.iter().filter(|span| span.parent == node.id).collect();
    for part in &parts {
        let inside = part.start_ns >= node.start_ns && part.end_ns >= part.start_ns;
        ensure!(inside && part.service == "ringkv-storage-node", "{part:?} is no part of {node:?}");
    }
    ensure!(server.end_ns - server.start_ns >= attempt.end_ns - attempt.start_ns, "{spans:#?}");
    Ok(parts.into_iter().map(|part| part.name.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_client_through_every_stage() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    run(shape(&collector), async |cluster| {
        let gateway = &cluster.clients()?[0];
        // The gateway learns the leader: the first attempt may be rejected.
        traced(gateway, "PUT", CANARY, "00").await?.1.expect(201)?;
        let (trace, answer) = traced(gateway, "PUT", CANARY, "01").await?;
        ensure!(answer.header("kv-trace-id") == trace, "{:?}", answer.headers);
        ensure!(answer.header("traceparent").contains(&trace), "{:?}", answer.headers);
        for stage in ["raft;dur=", "apply;dur=", "total;dur="] {
            ensure!(answer.header("server-timing").contains(stage), "{:?}", answer.headers);
        }
        answer.expect(204)?;
        let spans = spans_of(&collector, &trace, |spans| {
            let of = |name: &str| spans.iter().filter(|span| span.name == name).count();
            of("apply") == 1 && of("PUT /kv/{key}") == 1 && of("ringkv.v1.Kv/Put") == 2
        })
        .await?;
        let mut stages = check_path(&spans, "PUT", "ringkv.v1.Kv/Put")?;
        // The followers' disks may have been faster than the leader's.
        stages.remove("fsync");
        let expected = ["propose_wait", "replicate", "apply_wait", "apply"].map(str::to_owned);
        ensure!(stages == BTreeSet::from(expected), "{stages:?}");

        let (trace, answer) = traced(gateway, "GET", CANARY, "01").await?;
        ensure!(answer.header("server-timing").contains("read;dur="), "{:?}", answer.headers);
        answer.expect(200)?;
        let spans = spans_of(&collector, &trace, |spans| spans.len() >= 5).await?;
        let stages = check_path(&spans, "GET", "ringkv.v1.Kv/Get")?;
        let expected = ["read_index", "store_read"].map(str::to_owned);
        ensure!(stages == BTreeSet::from(expected), "{stages:?}");

        let all = collector.spans();
        let placement = all
            .iter()
            .any(|span| span.service == "ringkv-placement" && span.name == "placement.register");
        ensure!(placement, "placement traces its changes");
        let instances: BTreeSet<_> = all.iter().map(|span| &span.instance).collect();
        ensure!(!instances.contains(&String::new()), "every service has an instance id");
        let told = format!("{all:?}");
        ensure!(!told.contains("canary"), "a span names a key");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_one_entry_link_to_it_and_it_to_them() -> anyhow::Result<()> {
    // A span has at most 128 links (OTEL_SPAN_LINK_COUNT_LIMIT).
    const WRITES: usize = 100;
    let collector = Collector::start()?;
    run(shape(&collector), async |cluster| {
        let gateway = &cluster.clients()?[0];
        // One tag, so one group; at the same time, so that some share an entry.
        let writes = (0..WRITES).map(|number| {
            let (gateway, key) = (gateway.clone(), format!("{{tag}}/{number}"));
            tokio::spawn(async move { traced(&gateway, "PUT", key.as_bytes(), "01").await })
        });
        let mut traces = BTreeSet::new();
        for write in writes.collect::<Vec<_>>() {
            let (trace, answer) = write.await??;
            answer.expect(201)?;
            traces.insert(trace);
        }
        // A write that was rejected and retried was in no entry the first time.
        let is_write = |span: &&ReceivedSpan| {
            span.service == "ringkv-storage-node"
                && span.name == "ringkv.v1.Kv/Put"
                && span.attribute("error.type").is_empty()
        };
        let spans = until_ok("the spans of all writes", ARRIVES_WITHIN, async || {
            let spans = collector.spans();
            let writes = spans.iter().filter(is_write).count();
            let linked: usize =
                spans.iter().filter(|s| s.name == "raft.entry").map(|s| s.links.len()).sum();
            ensure!(writes == WRITES && linked == WRITES, "{writes} writes, {linked} linked to");
            Ok(spans)
        })
        .await?;
        let entries: Vec<_> = spans.iter().filter(|span| span.name == "raft.entry").collect();
        for write in spans.iter().filter(is_write) {
            ensure!(traces.contains(&write.trace), "{write:?} is of another trace");
            let [link] = write.links.as_slice() else { anyhow::bail!("not one link: {write:?}") };
            let entry = entries.iter().find(|entry| entry.place() == *link);
            let entry = entry.with_context(|| format!("the entry of {write:?}"))?;
            ensure!(entry.links.contains(&write.place()), "{entry:?} does not link to {write:?}");
            ensure!(
                entry.attribute("ringkv.group") == write.attribute("ringkv.group"),
                "{entry:?}"
            );
            ensure!(write.start_ns <= entry.end_ns, "{write:?} began after {entry:?}");
        }
        for entry in &entries {
            let commands: usize = entry.attribute("ringkv.commands").parse()?;
            ensure!(commands >= entry.links.len(), "more links than commands: {entry:?}");
            ensure!(!traces.contains(&entry.trace), "an entry has a trace of its own: {entry:?}");
        }
        let largest = entries.iter().map(|entry| entry.links.len()).max();
        ensure!(largest > Some(1), "no two of {WRITES} writes shared an entry");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_sampled_leaves_nothing() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    run(shape(&collector), async |cluster| {
        let gateway = &cluster.clients()?[0];
        let (left_out, answer) = traced(gateway, "PUT", CANARY, "00").await?;
        ensure!(answer.header("kv-trace-id") == left_out, "{:?}", answer.headers);
        ensure!(answer.header("traceparent").is_empty(), "{:?}", answer.headers);
        // The later spans have arrived, so earlier ones would have arrived too.
        let (taken, _) = traced(gateway, "PUT", CANARY, "01").await?;
        let has = |spans: &[ReceivedSpan], name: &str| spans.iter().any(|s| s.name == name);
        spans_of(&collector, &taken, |s| has(s, "apply") && has(s, "PUT /kv/{key}")).await?;
        let spans = collector.trace(&left_out);
        ensure!(spans.is_empty(), "{spans:#?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_during_an_election_shows_each_of_its_attempts() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    run(shape(&collector), async |cluster| {
        let gateway = &cluster.clients()?[0];
        gateway.put(CANARY, "before").await?.expect(201)?;
        let group = group_of(cluster, CANARY).await?;
        let leader = leader_of(cluster, group).await?;
        cluster.nodes[leader.node].kill();

        let (trace, answer) = traced(gateway, "PUT", CANARY, "01").await?;
        answer.expect(204)?;
        let is_attempt = |span: &&ReceivedSpan| {
            span.name == "ringkv.v1.Kv/Put" && span.service == "ringkv-gateway"
        };
        let has_all = |spans: &[ReceivedSpan]| {
            spans.iter().any(|s| s.name == "PUT /kv/{key}")
                && spans.iter().any(|s| s.name == "apply")
        };
        let spans = spans_of(&collector, &trace, has_all).await?;
        let mut attempts: Vec<_> = spans.iter().filter(is_attempt).collect();
        attempts.sort_by_key(|attempt| attempt.start_ns);
        let (last, failed) = attempts.split_last().context("there are attempts")?;
        ensure!(!failed.is_empty(), "one attempt was enough: {spans:#?}");
        ensure!(
            failed.iter().all(|attempt| !attempt.attribute("error.type").is_empty()),
            "{failed:#?}"
        );
        ensure!(last.attribute("error.type").is_empty(), "{last:?}");
        ensure!(failed[0].attribute("ringkv.retry").is_empty(), "{:?}", failed[0]);
        ensure!(
            attempts[1..].iter().all(|a| !a.attribute("ringkv.retry").is_empty()),
            "{attempts:#?}"
        );
        let server = the(&spans, "PUT /kv/{key}", "ringkv-gateway")?;
        ensure!(attempts.iter().all(|attempt| attempt.parent == server.id), "{attempts:#?}");
        Ok(())
    })
    .await
}
