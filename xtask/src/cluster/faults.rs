//! Changes to a running cluster: a second gateway, a node killed, a node restarted.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Cluster, START_LIMIT, gateway_program, is_ready};
use crate::http::call_once;
use crate::ports::free_address;
use crate::process::{Server, wait_until};

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

impl Cluster {
    /// Starts a second gateway and returns its address when it is ready.
    pub(crate) fn second_gateway(&mut self) -> anyhow::Result<SocketAddr> {
        let gateway = free_address()?;
        let command = gateway_program(gateway, self.placement)?;
        self.servers.push(Server::start("gateway-2", command, self.folder.path())?);
        wait_until("the second gateway", START_LIMIT, || Ok(is_ready(gateway).then_some(())))?;
        Ok(gateway)
    }

    /// Kills the running storage node that leads the most groups according to the gateway, and
    /// returns its index.
    pub(crate) fn kill_leader(&mut self) -> anyhow::Result<usize> {
        let topology: Value =
            serde_json::from_slice(&self.page("/topology")?).context("read the topology")?;
        let mut most = None;
        for (index, node) in self.nodes.iter().enumerate() {
            let runs = self.servers[node.server].ended()?.is_none();
            most = most.max(runs.then(|| (groups_led(&topology, &node.address), index)));
        }
        let (groups, index) = most.context("no storage node runs")?;
        ensure!(groups > 0, "the gateway knows no leader among the nodes that run");
        self.servers[self.nodes[index].server].kill();
        Ok(index)
    }

    /// Starts a killed node again and waits until it is ready.
    pub(crate) fn start_again(&mut self, index: usize) -> anyhow::Result<()> {
        let node = &self.nodes[index];
        let server = &mut self.servers[node.server];
        server.start_again()?;
        wait_until("the node", START_LIMIT, || {
            server.check()?;
            Ok(is_ready(node.metrics).then_some(()))
        })
    }

    /// The body of a page of the gateway.
    pub(crate) fn page(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: ringkv\r\n\r\n");
        let (status, body) = call_once(self.gateway, request.as_bytes(), ANSWER_LIMIT)?;
        ensure!(status == 200, "{path} answers {status}");
        Ok(body)
    }
}

/// How many groups the node with this address leads.
fn groups_led(topology: &Value, address: &str) -> usize {
    let list = |name: &str| topology[name].as_array().into_iter().flatten();
    let id = list("nodes").find(|node| node["address"] == address).map(|node| &node["id"]);
    list("groups").filter(|group| id.is_some_and(|id| group["leader"] == *id)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::groups_led;

    #[test]
    fn groups_are_counted_by_the_address_of_their_leader() {
        let topology = json!({
            "nodes": [{"id": 1, "address": "a:1"}, {"id": 2, "address": "b:1"}],
            "groups": [{"leader": 2}, {"leader": 1}, {"leader": null}, {"leader": 2}],
        });
        assert_eq!(groups_led(&topology, "b:1"), 2);
        assert_eq!(groups_led(&topology, "c:1"), 0);
    }
}
