//! An OpenTelemetry collector for tests: receives OTLP over gRPC and keeps every span.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::certificates::Authority;

const TRUSTED: &str = "trusted.pem";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// A received span; ids are hexadecimal digits, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// `service.name` and `service.instance.id`.
    pub service: String,
    pub instance: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub state: String,
    /// Trace and span of each.
    pub links: Vec<(String, String)>,
    pub attributes: BTreeMap<String, String>,
    pub start_ns: u64,
    pub end_ns: u64,
}

impl ReceivedSpan {
    /// The value of an attribute; empty if it is absent.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// Trace and span id, as links name the span.
    pub fn place(&self) -> (String, String) {
        (self.trace.clone(), self.id.clone())
    }
}

/// A running collector; dropping it stops it.
pub struct Collector {
    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: String,
    /// The folder of the certificates that its clients need; `None` if it accepts every client.
    certificates: Option<TempDir>,
    spans: Spans,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<ReceivedSpan>>>);

impl Collector {
    /// Starts on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> anyhow::Result<Self> {
        Self::serve(Server::builder(), "http://127.0.0.1", None)
    }

    /// Starts one on a free port that uses TLS and accepts only clients with a certificate of its
    /// own authority.
    ///
    /// # Errors
    /// No port is free, or a certificate cannot be created.
    pub fn start_secured() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let (certificate, key) = authority.issue()?;
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(authority.pem()));
        let folder = TempDir::new().context("make a folder for certificates")?;
        let (certificate, key) = authority.issue()?;
        for (name, pem) in [(TRUSTED, authority.pem()), (CERTIFICATE, certificate), (KEY, key)] {
            std::fs::write(folder.path().join(name), pem).context("write a certificate")?;
        }
        let builder = Server::builder().tls_config(tls).context("set up TLS")?;
        Self::serve(builder, "https://localhost", Some(folder))
    }

    fn serve(
        mut builder: Server,
        host: &str,
        certificates: Option<TempDir>,
    ) -> anyhow::Result<Self> {
        let address = "127.0.0.1:0".parse().context("an address")?;
        let incoming = TcpIncoming::bind(address).context("bind a free port")?;
        let port = incoming.local_addr().context("read the port")?.port();
        let spans = Spans::default();
        let service = TraceServiceServer::new(spans.clone());
        let server = tokio::spawn(builder.add_service(service).serve_with_incoming(incoming));
        Ok(Self { endpoint: format!("{host}:{port}"), certificates, spans, server })
    }

    /// The environment with which a service sends its spans here without delay.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.endpoint.clone()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ];
        if let Some(folder) = &self.certificates {
            let file = |name| folder.path().join(name).display().to_string();
            environment.extend([
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", file(TRUSTED)),
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file(CERTIFICATE)),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file(KEY)),
            ]);
        }
        environment
    }

    /// All received spans, in order.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.spans.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The received spans of one trace.
    pub fn trace(&self, trace: &str) -> Vec<ReceivedSpan> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut arrived = Vec::new();
        for of_resource in request.into_inner().resource_spans {
            let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
            let named = |name: &str| resource.get(name).cloned().unwrap_or_default();
            for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
                arrived.push(ReceivedSpan {
                    service: named("service.name"),
                    instance: named("service.instance.id"),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    state: span.trace_state,
                    links: span.links.iter().map(|l| (hex(&l.trace_id), hex(&l.span_id))).collect(),
                    attributes: attributes(span.attributes),
                    start_ns: span.start_time_unix_nano,
                    end_ns: span.end_time_unix_nano,
                });
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(arrived);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let shown = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(fact)) => fact.to_string(),
        other => format!("{other:?}"),
    };
    all.into_iter().map(|entry| (entry.key, shown(entry.value.and_then(|v| v.value)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
