//! Pages: limits, topology, health, metrics, and the description that must match the routes.

use std::time::Duration;

use ringkv_topology::{Node, NodeId};
use serde_json::Value;

use crate::support::{Gateway, PATIENCE};

#[tokio::test]
async fn the_limits_are_those_that_are_enforced() {
    let gateway = Gateway::start(&["--requests-max=77"]).await;
    let limits = gateway.get("/limits").await.json();
    assert_eq!(limits["key_bytes_max"], 4096);
    assert_eq!(limits["value_bytes_max"], ringkv_client::fake::VALUE_BYTES_MAX);
    assert_eq!((&limits["timeout_ms_max"], &limits["requests_max"]), (&30000.into(), &77.into()));
}

#[tokio::test]
async fn the_topology_names_nodes_groups_and_slots() {
    let gateway = Gateway::start(&[]).await;
    let topology = gateway.get("/topology").await.json();
    assert_eq!((&topology["epoch"], &topology["formed"]), (&1.into(), &true.into()));
    assert_eq!(topology["nodes"][0]["alive"], true);
    assert_eq!(topology["groups"][0]["replicas"][0]["role"], "voter");
    assert_eq!(topology["slots"], serde_json::json!([[0, 15, 1]]));
}

#[tokio::test]
async fn the_metrics_count_what_was_answered() {
    let gateway = Gateway::start(&[]).await;
    gateway.put("/kv/a", b"xyz").await;
    gateway.put("/kv/%zz", b"").await;
    gateway.get("/kv/a").await;
    gateway.get("/kv/%zz").await;
    gateway.get("/nothing").await;
    let text = String::from_utf8(gateway.get("/metrics").await.body).unwrap();
    let lines = [
        r#"ringkv_gateway_requests_total{code="201",method="PUT",route="kv"} 1"#,
        r#"ringkv_gateway_requests_total{code="200",method="GET",route="kv"} 1"#,
        r#"ringkv_gateway_requests_total{code="400",method="GET",route="kv"} 1"#,
        r#"ringkv_gateway_requests_total{code="404",method="GET",route="unknown"} 1"#,
        r#"ringkv_gateway_request_seconds_count{method="PUT"} 2"#,
        r#"ringkv_gateway_retries_total{reason="not_leader"} 0"#,
        r#"ringkv_ring_epoch{component="gateway"} 1"#,
        "ringkv_gateway_in_flight 0",
        "ringkv_gateway_in_flight_limit 8192",
        "ringkv_gateway_body_bytes 0",
        "ringkv_gateway_body_bytes_limit 268435456",
        r#"ringkv_gateway_outcomes_total{outcome="applied"} 1"#,
        r#"ringkv_gateway_outcomes_total{outcome="not_applied"} 1"#,
        r#"ringkv_gateway_outcomes_total{outcome="unknown"} 0"#,
        r#"ringkv_gateway_shed_total{reason="requests"} 0"#,
        "ringkv_gateway_request_bytes_total 3",
        "ringkv_gateway_response_bytes_total 3",
        "ringkv_gateway_topology_age_seconds 0",
        "ringkv_ready 1",
    ];
    for line in lines {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(text.contains("ringkv_build_info{"));
    for line in text.lines().filter(|line| line.starts_with("ringkv_") && line.contains(' ')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = name.trim_end_matches("_bucket").trim_end_matches("_sum");
        let family = family.trim_end_matches("_count");
        assert!(text.contains(&format!("# HELP {family} ")), "{name} has no HELP");
    }
}

#[tokio::test]
async fn a_scraper_that_asks_for_openmetrics_gets_it() {
    let gateway = Gateway::start(&[]).await;
    let asked = [("Accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")];
    let page = gateway.send("GET", "/metrics", &asked, b"").await;
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(page.header("content-type"), Some(format));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("# TYPE ringkv_gateway_retries counter\n"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
}

#[tokio::test]
async fn the_metrics_tell_which_nodes_there_is_no_connection_to() {
    let gateway = Gateway::start(&[]).await;
    gateway.put("/kv/a", b"x").await;
    // A bound port without a server.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    gateway.fake.change(|topology| {
        let node = Node { id: NodeId(2), address, ..topology.nodes[&NodeId(1)].clone() };
        topology.nodes.insert(node.id, node);
        topology.epoch.0 += 1;
    });
    let shown = async {
        loop {
            let text = String::from_utf8(gateway.get("/metrics").await.body).unwrap();
            let nodes = text.lines().filter(|l| l.starts_with("ringkv_gateway_node_connected{"));
            let nodes: Vec<_> = nodes.map(str::to_owned).collect();
            if nodes.len() == 2 {
                return nodes;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let shown = tokio::time::timeout(PATIENCE, shown).await.expect("the new node is shown");
    let node =
        |node: u8, value: u8| format!("ringkv_gateway_node_connected{{node=\"{node}\"}} {value}");
    assert_eq!(shown, [node(1, 1), node(2, 0)]);
}

/// Every path of the description with a value in place of its parameter, and its methods.
fn described(document: &Value) -> Vec<(String, Vec<String>)> {
    let paths = document["paths"].as_object().expect("a document has paths");
    paths
        .iter()
        .map(|(path, item)| {
            let methods = item.as_object().expect("a path has operations");
            let path = path.replace("{key}", "a").replace("{slug}", "overloaded");
            let path = path.replace("{id}", "7");
            let query = if path.ends_with("/kv") { "?key_b64=YQ" } else { "" };
            (path + query, methods.keys().map(|method| method.to_uppercase()).collect())
        })
        .collect()
}

#[tokio::test]
async fn the_description_names_every_path_and_method_and_no_other() {
    let gateway = Gateway::start(&[]).await;
    let document = gateway.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let described = described(&document);
    assert_eq!(described.len(), 14);
    gateway.fake.set_operations(crate::operations::drain());
    for (target, methods) in &described {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"] {
            gateway.put("/kv/a", b"x").await;
            let reply = gateway.send(method, target, &[], b"").await;
            let named = methods.iter().any(|known| known == method);
            assert_eq!(reply.status != 405, named, "{method} {target}: {}", reply.status);
            assert_ne!(reply.status, 404, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn every_answer_to_a_key_is_in_the_description() {
    let gateway = Gateway::start(&[]).await;
    let document = gateway.get("/openapi.json").await.json();
    let operations = &document["paths"]["/kv/{key}"];
    let calls = [
        ("PUT", "/kv/a", 201),
        ("PUT", "/kv/a", 204),
        ("PUT", "/kv/a?return=previous", 200),
        ("GET", "/kv/a", 200),
        ("HEAD", "/kv/a", 200),
        ("GET", "/kv/%zz", 400),
        ("DELETE", "/kv/a?return=previous", 200),
        ("DELETE", "/kv/a", 404),
    ];
    for (method, target, status) in calls {
        let reply = gateway.send(method, target, &[], b"").await;
        assert_eq!(reply.status, status, "{method} {target}");
        let responses = &operations[method.to_lowercase()]["responses"];
        assert!(responses[status.to_string()].is_object(), "{method} {status}");
    }
}

#[tokio::test]
async fn a_problems_type_leads_to_its_page() {
    let gateway = Gateway::start(&[]).await;
    let problem = gateway.get("/kv/a").await.json();
    let page = gateway.get(problem["type"].as_str().unwrap()).await;
    assert_eq!((page.status, &page.json()["title"]), (200, &problem["title"]));
}
