//! A gateway to test, and a client that sends exactly the bytes of its caller.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;
use ringkv_client::fake::FakeCluster;
use ringkv_gateway::{Args, Config, Listeners};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Gateway {
    pub(crate) fake: FakeCluster,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<anyhow::Result<()>>,
}

impl Gateway {
    /// A ready gateway in front of a fake cluster of one node.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let fake = FakeCluster::start(1).await;
        let gateway = Self::in_front_of(fake, flags);
        let ready = async {
            while gateway.get("/readyz").await.status != 200 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("the gateway becomes ready");
        gateway
    }

    /// A gateway that may not have met its cluster yet.
    pub(crate) fn in_front_of(fake: FakeCluster, flags: &[&str]) -> Self {
        Self::with_placement(&fake.placement().join(","), fake, flags)
    }

    pub(crate) fn with_placement(placement: &str, fake: FakeCluster, flags: &[&str]) -> Self {
        let http = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = http.local_addr().expect("a bound socket has an address");
        let placement = format!("--placement={placement}");
        let base = ["ringkv-gateway", placement.as_str()];
        let args = Args::try_parse_from(base.iter().chain(flags)).expect("the flags exist");
        let config = Config::try_from(args).expect("the flags are in range");
        let shutdown = CancellationToken::new();
        let serve = ringkv_gateway::serve(config, Listeners { http }, shutdown.clone());
        Self { fake, address, served: tokio::spawn(serve), shutdown }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the gateway listens")
    }

    /// Sends `request` as it is and reads until the gateway closes the connection.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.expect("the gateway reads");
        read_reply(&mut stream).await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"").await
    }

    pub(crate) async fn put(&self, target: &str, value: &[u8]) -> Reply {
        self.send("PUT", target, &[], value).await
    }

    /// The value of a series on /metrics.
    pub(crate) async fn metric(&self, series: &str) -> String {
        let page = String::from_utf8(self.get("/metrics").await.body).expect("the page is text");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in\n{page}")).to_owned()
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "PUT" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend_from_slice(body);
        self.raw(request).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Reads one answer; it ends with the connection.
pub(crate) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    read.await.expect("the gateway closes the connection").expect("the answer arrives whole");
    Reply::parse(&bytes)
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| {
            panic!("no HTTP answer: {:?}", String::from_utf8_lossy(bytes));
        });
        let head = std::str::from_utf8(&bytes[..end]).expect("heads are ASCII");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self {
            status: status.expect("a status line has a status"),
            headers,
            body: bytes[end + 4..].to_vec(),
        }
    }

    /// The value of a header; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts that this is a whole problem body, and returns its status, code and outcome.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        let text = |name: &str| {
            body[name].as_str().unwrap_or_else(|| panic!("no {name} in {body}")).to_owned()
        };
        assert_eq!(body["status"], self.status);
        assert_eq!(text("type"), format!("/problems/{}", text("code").replace('_', "-")));
        assert!(!text("title").is_empty() && !text("detail").is_empty());
        assert!(text("instance").starts_with('/'));
        assert_eq!(self.header("kv-trace-id"), Some(text("trace_id").as_str()));
        assert!(body["retryable"].is_boolean());
        assert_eq!(body["retry_after_ms"].is_u64(), self.header("retry-after").is_some());
        assert!(!body.to_string().contains("127.0.0.1"), "an address in {body}");
        (self.status, text("code"), text("outcome"))
    }
}
