//! `/healthz`, `/readyz` and `/metrics` — probes and metrics, which are never HTML.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use hitrate_cache::redis::RedisStatus;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::state::WorkerState;

/// State of the stores that this process depends on.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// `up` or `down`. While Redis is down, hitrate answers from the database.
    #[schema(example = "up")]
    redis: &'static str,
    /// `up` or `down`. While the database is down, hitrate is not ready.
    #[schema(example = "up")]
    database: &'static str,
}

/// Liveness probe: the process responds. Queries neither Redis nor the database.
#[utoipa::path(
    get, path = "/healthz", operation_id = "alive",
    responses((status = 200, description = "The process is alive"))
)]
pub async fn alive() -> HttpResponse {
    plain(StatusCode::OK).json(serde_json::json!({ "status": "alive" }))
}

/// Readiness probe: ready if the database answers, whether or not Redis does.
#[utoipa::path(
    get, path = "/readyz", operation_id = "ready",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "The database is down", body = Readiness),
    )
)]
pub async fn ready(app: Data<WorkerState>) -> HttpResponse {
    let database = app.shared.db.ping().await.is_ok();
    let redis = !matches!(app.store.status(), RedisStatus::Down(..));
    let word = |up: bool| if up { "up" } else { "down" };
    let status = if database { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status).json(Readiness { redis: word(redis), database: word(database) })
}

/// Metrics in the OpenMetrics text format, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, description = "All metrics", content_type = "application/openmetrics-text"))
)]
pub async fn metrics(app: Data<WorkerState>) -> HttpResponse {
    app.shared.metrics.update_gauges(&app.cache).await;
    plain(StatusCode::OK)
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(app.shared.metrics.text())
}

fn plain(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header(("cache-control", "no-store"));
    response
}
