//! All URLs of hitrate.
//!
//! `GET` shows a page; `POST` acts, then redirects to a `GET`. The module, template and
//! test of a page are named after its path.

use actix_web::{
    FromRequest, Handler, Resource, Responder, Route,
    guard::fn_guard,
    http::Method,
    web::{self, ServiceConfig, post},
};

use crate::web::{
    error::{Error, Result},
    pages::*,
};

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";
const BOTH: &str = "GET, HEAD, POST";

/// Registers all pages. actix-web compares a request with these in order, and patterns
/// with `{}` are the slowest to compare, so the most frequent paths come first.
#[rustfmt::skip]
pub fn routes(app: &mut ServiceConfig) {
    app.service(at("/",                     READ ).route(get(counter::show)))
       .service(at("/profiles",             READ ).route(get(profiles::show)))
       .service(at("/product/{id}",         READ ).route(get(product::show)))
       .service(at("/profiles/{id}",        WRITE).route(post().to(profiles::edits::edit)))
       .service(at("/profiles/{id}/invalidate", WRITE).route(post().to(profiles::edits::invalidate)))
       .service(at("/profiles/{id}/forget", WRITE).route(post().to(profiles::edits::forget)))
       .service(at("/strategies",           BOTH ).route(get(strategies::show)).route(post().to(strategies::act)))
       .service(at("/invalidation",         BOTH ).route(get(invalidation::show)).route(post().to(invalidation::drop_copies)))
       .service(at("/stampede",             BOTH ).route(get(stampede::show)).route(post().to(stampede::run)))
       .service(at("/sessions",             BOTH ).route(get(sessions::show)).route(post().to(sessions::start)))
       .service(at("/sessions/end",         WRITE).route(post().to(sessions::end)))
       .service(at("/patterns",             READ ).route(get(patterns::index)))
       .service(at("/patterns/publish-subscribe/live", "GET").route(web::get().to(patterns::pubsub_live::live)))
       .service(at("/patterns/key-names",   READ ).route(get(key_names::show)))
       .service(at("/patterns/round-trips", BOTH ).route(get(round_trips::show)).route(post().to(round_trips::run)))
       .service(at("/patterns/{slug}",      BOTH ).route(get(patterns::show)).route(post().to(patterns::act)))
       .service(at("/console",              BOTH ).route(get(console::show)).route(post().to(console::run)))
       .service(at("/console/clear",        WRITE).route(post().to(console::clear)))
       .service(at("/structures",           READ ).route(get(structures::index)))
       .service(at("/structures/streams/live", "GET").route(web::get().to(structures::live)))
       .service(at("/structures/{slug}",    BOTH ).route(get(structures::show)).route(post().to(structures::act)))
       .service(at("/product",              READ ).route(get(product::laptop)))
       .service(at("/stats",                READ ).route(get(stats::show)))
       .service(at("/stats/live",           "GET").route(web::get().to(stats::live)))
       .service(at("/healthz",              READ ).route(get(health::alive)))
       .service(at("/readyz",               READ ).route(get(health::ready)))
       .service(at("/metrics",              READ ).route(get(health::metrics)))
       .service(at("/openapi.json",         READ ).route(get(openapi::show)))
       .service(at("/favicon.ico",          READ ).route(get(statics::favicon)))
       .service(at("/static/{name}",        READ ).route(get(statics::show)))
       .default_service(web::to(not_found));
}

/// A path, and the methods that its 405 response allows.
fn at(path: &str, allowed: &'static str) -> Resource {
    let reject = move || async move { Err::<String, _>(Error::NoMethod(allowed)) };
    web::resource(path).default_service(web::to(reject))
}

/// Routes GET and HEAD. HEAD has the same headers and no body.
fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route().guard(fn_guard(|it| is_get(&it.head().method))).to(handler)
}

fn is_get(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

async fn not_found() -> Result<String> {
    Err(Error::NoPage)
}
