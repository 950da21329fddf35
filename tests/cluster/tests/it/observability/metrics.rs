//! The metrics of every service match docs/metrics.md, in both formats.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{
    Cluster, Collector, PathForm, Shape, metrics_page, run, send, until_ok,
};

const SHOWN_WITHIN: Duration = Duration::from_secs(20);
const PAGE: &str = include_str!("../../../../../docs/metrics.md");
/// The sections of the page and whose metrics they list, as `ringkv_build_info` names them.
const SECTIONS: [(&str, &str); 3] =
    [("Gateway", "gateway"), ("Storage node", "storage-node"), ("Placement", "placement")];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The metrics named in a section of the page.
fn listed(section: &str) -> BTreeSet<&'static str> {
    let (_, text) = PAGE.split_once(&format!("\n## {section}\n")).expect("the page has it");
    let text = text.split("\n## ").next().unwrap_or_default();
    let words = text.split('`').skip(1).step_by(2);
    let names = words.map(|word| word.split('{').next().unwrap_or_default());
    names.filter(|n| ["ringkv_", "raft_", "process_"].iter().any(|p| n.starts_with(p))).collect()
}

/// The names of the families on pages, each of which has a HELP text and a sample.
fn exported(pages: &[String]) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for page in pages {
        for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap_or_default();
            let help = page.contains(&format!("# HELP {name} "));
            ensure!(help && page.contains(&format!("\n{name}")), "{name} has no HELP or no sample");
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

/// The pages of all services of a component.
async fn pages(cluster: &Cluster, component: &str, accept: &str) -> anyhow::Result<Vec<String>> {
    let services = match component {
        "gateway" => &cluster.gateways,
        "storage-node" => &cluster.nodes,
        _ => &cluster.placement,
    };
    let mut pages = Vec::new();
    for service in services {
        pages.push(metrics_page(&service.metrics, accept).await?);
    }
    Ok(pages)
}

/// The sum of a metric on pages, or of its series with the labels in the name.
fn sum(pages: &[String], name: &str) -> f64 {
    let lines = pages.iter().flat_map(|page| page.lines());
    let rests = lines.filter_map(|line| line.strip_prefix(name));
    let rests = rests.filter(|rest| rest.starts_with([' ', '{']));
    rests.filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

async fn every_name_is_listed(cluster: &Cluster) -> anyhow::Result<()> {
    for (section, component) in SECTIONS {
        let listed: BTreeSet<_> = &listed(section) | &listed("Every service");
        until_ok(section, SHOWN_WITHIN, async || {
            let pages = pages(cluster, component, "text/plain").await?;
            let own = format!("component=\"{component}\"");
            ensure!(pages.iter().all(|page| page.contains(&own)), "another component");
            let exported = exported(&pages)?;
            let exported: BTreeSet<&str> = exported.iter().map(String::as_str).collect();
            let stray: Vec<_> = exported.difference(&listed).collect();
            let gone: Vec<_> = listed.difference(&exported).collect();
            ensure!(stray.is_empty() && gone.is_empty(), "not listed: {stray:?}; gone: {gone:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Compares some values with what is known of the cluster.
async fn figures_are_right(cluster: &Cluster) -> anyhow::Result<()> {
    let of_placement = until_ok("a figure of placement", SHOWN_WITHIN, async || {
        let pages = pages(cluster, "placement", "text/plain").await?;
        ensure!(sum(&pages, "ringkv_placement_nodes{state=\"alive\"}") == 3.0, "nodes: {pages:?}");
        ensure!(sum(&pages, "ringkv_placement_heartbeats_total") > 3.0, "heartbeats: {pages:?}");
        // Three nodes, a gateway, and the two replicas that follow.
        ensure!(sum(&pages, "ringkv_placement_watchers") == 6.0, "watchers: {pages:?}");
        Ok(pages)
    })
    .await?;
    let replicas = of_placement.len() as f64;
    let groups = sum(&of_placement, "ringkv_placement_groups") / replicas;
    for (series, value) in [
        ("ringkv_placement_is_leader", 1.0),
        ("ringkv_placement_groups_under_replicated", 0.0),
        ("ringkv_placement_formed", replicas),
        ("ringkv_placement_has_leader", replicas),
        ("ringkv_ready", replicas),
        ("ringkv_ring_slots", replicas * 4096.0),
        ("ringkv_placement_zone_replicas{zone=\"none\"}", replicas * 3.0 * groups),
    ] {
        let found = sum(&of_placement, series);
        ensure!(found == value, "{series} is {found}, not {value}");
    }
    let shares = sum(&of_placement, "ringkv_ring_share_ratio");
    ensure!((shares - replicas).abs() < 1e-9, "the shares of a replica are together {shares}");
    until_ok("a figure of the nodes", SHOWN_WITHIN, async || {
        let of_nodes = pages(cluster, "storage-node", "text/plain").await?;
        let led = sum(&of_nodes, "ringkv_raft_leaders");
        ensure!(led == groups, "{led} of {groups} groups are led");
        for series in ["ringkv_raft_groups_under_replicated", "ringkv_raft_groups_without_leader"] {
            ensure!(sum(&of_nodes, series) == 0.0, "{series} in health");
        }
        Ok(())
    })
    .await
}

async fn exemplars_lead_to_the_trace(cluster: &Cluster) -> anyhow::Result<()> {
    for (component, metric) in [
        ("gateway", "ringkv_gateway_request_seconds"),
        ("storage-node", "raft_request_latency_seconds"),
    ] {
        let pages = pages(cluster, component, "application/openmetrics-text").await?;
        ensure!(pages.iter().all(|page| page.ends_with("\n# EOF\n")), "no end: {pages:?}");
        let exemplar = format!(" # {{trace_id=\"{TRACE}\"}} ");
        let bucket = format!("{metric}_bucket{{");
        let mut lines = pages.iter().flat_map(|page| page.lines());
        lines.find(|line| line.starts_with(&bucket) && line.contains(&exemplar)).context(metric)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_is_what_the_page_says() -> anyhow::Result<()> {
    let collector = Collector::start()?;
    let environment = collector.environment();
    let shape = Shape { placement: 3, gateways: 1, environment, ..Shape::default() };
    run(shape, async |cluster| {
        let gateway = &cluster.clients()?[0];
        let traced = gateway
            .on_key(reqwest::Method::PUT, b"key", PathForm::Path)
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
            .body("value");
        send(traced).await?.expect(201)?;
        gateway.get(b"key").await?.expect(200)?;
        every_name_is_listed(cluster).await?;
        figures_are_right(cluster).await?;
        exemplars_lead_to_the_trace(cluster).await
    })
    .await
}
