//! `/openapi.json` — describes all URLs as OpenAPI 3.1, generated from the handlers.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse, web::Bytes};
use flate2::Compression;
use utoipa::OpenApi;

use super::{
    console, counter, health, invalidation, key_names, patterns, product, profiles, round_trips,
    sessions, stampede, stats, strategies, structures,
};
use crate::web::compression::{self, accepts_gzip, gzip};

#[derive(OpenApi)]
#[openapi(
    info(
        description = "Every page is HTML, or with `Accept: application/json` the JSON described here. A POST accepts a form or JSON; for HTML it answers 303 to the page with the result, for JSON 200 with the result itself. Errors are `{\"error\": \"…\"}`, with a sentence for each invalid field. Times are integers: `*_us` in microseconds, `*_ms` in milliseconds, `*_s` in seconds."
    ),
    paths(
        counter::show,
        profiles::show,
        profiles::edits::edit,
        profiles::edits::invalidate,
        profiles::edits::forget,
        strategies::show,
        strategies::act,
        invalidation::show,
        invalidation::drop_copies,
        stampede::show,
        stampede::run,
        console::show,
        console::run,
        console::clear,
        key_names::show,
        round_trips::show,
        round_trips::run,
        sessions::show,
        sessions::start,
        sessions::end,
        patterns::index,
        patterns::show,
        patterns::act,
        patterns::pubsub_live::live,
        structures::index,
        structures::show,
        structures::act,
        structures::live,
        product::laptop,
        product::show,
        stats::show,
        stats::live,
        health::alive,
        health::ready,
        health::metrics,
    )
)]
struct Document;

static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    Document::openapi().to_json().expect("a description made of constants is JSON").into()
});
static GZIP: LazyLock<Bytes> = LazyLock::new(|| gzip(&JSON, Compression::best()));

/// Returns the OpenAPI document.
pub async fn show(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if !accepts_gzip(&request) {
        // Large, so the middleware adds `Vary`.
        return response.body(JSON.clone());
    }
    let mut response = response.body(GZIP.clone());
    compression::set_vary(response.headers_mut());
    compression::set_gzip(response.headers_mut());
    response
}
