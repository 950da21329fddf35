//! Everything that is not a key: topology, operations, limits, health, metrics, the API's
//! description.
//!
//! They are small and rare, so axum routes them; tower layers bound their number and time.

mod operations;
mod rfc3339;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use ringkv_client::{Client, ErrorKind};
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::TraceId;
use serde_json::json;
use tower::{BoxError, ServiceBuilder};

use crate::limits::Limits;
use crate::openapi;
use crate::problem::Problem;

/// Pages served at a time; a scraper, some health checks and a few people need only a few.
const PAGES_MAX: usize = 64;
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The methods of every page.
pub(crate) const METHODS: &str = "GET, HEAD";

/// What pages show.
pub(crate) struct Pages {
    pub(crate) client: Client,
    pub(crate) limits: Limits,
    pub(crate) operator: OperatorPages,
}

type Shown = State<Arc<Pages>>;
/// The trace id of the request; set before a page is asked for.
type Traced = Extension<TraceId>;

/// The router of all pages.
pub(crate) fn router(pages: Pages) -> axum::Router {
    let bounds = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|uri: Uri, Extension(id): Traced, _: BoxError| async move {
            let problem =
                Problem::new(ErrorKind::Overloaded, "too many requests for pages are open");
            problem.into_reply(uri.path(), id).into_response()
        }))
        .load_shed()
        .concurrency_limit(PAGES_MAX)
        .timeout(PAGE_TIMEOUT);
    axum::Router::new()
        .route("/topology", get(topology))
        .route("/operations", get(operations))
        .route("/operations/{id}", get(operation))
        .route("/limits", get(limits))
        .route("/livez", get(live))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .route("/problems/{slug}", get(problem))
        .fallback(|uri: Uri, Extension(id): Traced| async move {
            Problem::route().into_reply(uri.path(), id)
        })
        .method_not_allowed_fallback(|uri: Uri, Extension(id): Traced| async move {
            Problem::method(METHODS).into_reply(uri.path(), id)
        })
        .layer(bounds)
        .with_state(Arc::new(pages))
}

async fn topology(State(pages): Shown, Extension(id): Traced, uri: Uri) -> Response {
    match pages.client.view() {
        Some(view) => Json(topology::page(&view)).into_response(),
        None => {
            let detail = "placement has sent no topology yet";
            Problem::new(ErrorKind::NotReady, detail).into_reply(uri.path(), id).into_response()
        }
    }
}

async fn operations(State(pages): Shown, Extension(id): Traced, uri: Uri) -> Response {
    match pages.client.operations().await {
        Ok(operations) => Json(operations::list(&operations)).into_response(),
        Err(error) => Problem::from_client(error, false).into_reply(uri.path(), id).into_response(),
    }
}

async fn operation(
    State(pages): Shown,
    Path(wanted): Path<String>,
    Extension(id): Traced,
    uri: Uri,
) -> Response {
    let shown = match pages.client.operations().await {
        Ok(operations) => operations::one(&operations, &wanted),
        Err(error) => Err(Problem::from_client(error, false)),
    };
    match shown {
        Ok(operation) => Json(operation).into_response(),
        Err(problem) => problem.into_reply(uri.path(), id).into_response(),
    }
}

async fn limits(State(pages): Shown) -> Response {
    let value_bytes_max = pages.client.value_bytes_max();
    let value_bytes_max = value_bytes_max.unwrap_or(pages.limits.value_bytes_default);
    Json(pages.limits.to_json(value_bytes_max)).into_response()
}

async fn live(State(pages): Shown, Extension(id): Traced, uri: Uri) -> Response {
    match pages.operator.health.live() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => {
            Problem::new(ErrorKind::NotReady, reason).into_reply(uri.path(), id).into_response()
        }
    }
}

async fn ready(State(pages): Shown, Extension(id): Traced, uri: Uri) -> Response {
    match pages.operator.health.readiness() {
        Ok(()) => "ok\n".into_response(),
        Err(reasons) => {
            let detail = reasons.join("; ");
            Problem::new(ErrorKind::NotReady, detail).into_reply(uri.path(), id).into_response()
        }
    }
}

async fn metrics(
    State(pages): Shown,
    Extension(id): Traced,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match pages.operator.answer(uri.path(), &headers) {
        Some(answer) => answer.map(axum::body::Body::from),
        None => Problem::route().into_reply(uri.path(), id).into_response(),
    }
}

async fn description() -> Response {
    Json(openapi::document()).into_response()
}

/// What a problem's `type` leads to.
async fn problem(Path(slug): Path<String>, Extension(id): Traced, uri: Uri) -> Response {
    let Some(kind) = ErrorKind::ALL.into_iter().find(|kind| kind.slug() == slug) else {
        return Problem::route().into_reply(uri.path(), id).into_response();
    };
    let page = json!({
        "type": format!("/problems/{slug}"),
        "title": kind.title(),
        "status": kind.status(),
    });
    let mut response = (StatusCode::OK, Json(page)).into_response();
    let forever = HeaderValue::from_static("max-age=86400");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}
