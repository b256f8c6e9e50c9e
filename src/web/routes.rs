//! Every URL of hitrate, on one screen.
//!
//! `GET` shows, `POST` acts and then redirects to a `GET`. A page's module,
//! template and test bear the name of its path.

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

const SHOWS: &str = "GET, HEAD";
const ACTS: &str = "POST";
const BOTH: &str = "GET, HEAD, POST";

/// Puts every page at its address. A request is compared with these in order, and
/// with a `{}` that costs most: what is asked for most comes first.
#[rustfmt::skip]
pub fn routes(app: &mut ServiceConfig) {
    app.service(at("/",                     SHOWS).route(get(counter::show)))
       .service(at("/profiles",             SHOWS).route(get(profiles::show)))
       .service(at("/product/{id}",         SHOWS).route(get(product::show)))
       .service(at("/profiles/{id}",        ACTS ).route(post().to(profiles::edits::edit)))
       .service(at("/profiles/{id}/invalidate", ACTS ).route(post().to(profiles::edits::invalidate)))
       .service(at("/profiles/{id}/forget", ACTS ).route(post().to(profiles::edits::forget)))
       .service(at("/strategies",           BOTH ).route(get(strategies::show)).route(post().to(strategies::act)))
       .service(at("/invalidation",         BOTH ).route(get(invalidation::show)).route(post().to(invalidation::drop_copies)))
       .service(at("/stampede",             BOTH ).route(get(stampede::show)).route(post().to(stampede::run)))
       .service(at("/sessions",             BOTH ).route(get(sessions::show)).route(post().to(sessions::start)))
       .service(at("/sessions/end",         ACTS ).route(post().to(sessions::end)))
       .service(at("/patterns",             SHOWS).route(get(patterns::index)))
       .service(at("/patterns/publish-subscribe/live", "GET").route(web::get().to(patterns::pubsub_live::live)))
       .service(at("/patterns/key-names",   SHOWS).route(get(key_names::show)))
       .service(at("/patterns/round-trips", BOTH ).route(get(round_trips::show)).route(post().to(round_trips::run)))
       .service(at("/patterns/{slug}",      BOTH ).route(get(patterns::show)).route(post().to(patterns::act)))
       .service(at("/console",              BOTH ).route(get(console::show)).route(post().to(console::run)))
       .service(at("/console/clear",        ACTS ).route(post().to(console::clear)))
       .service(at("/structures",           SHOWS).route(get(structures::index)))
       .service(at("/structures/streams/live", "GET").route(web::get().to(structures::live)))
       .service(at("/structures/{slug}",    BOTH ).route(get(structures::show)).route(post().to(structures::act)))
       .service(at("/product",              SHOWS).route(get(product::laptop)))
       .service(at("/stats",                SHOWS).route(get(stats::show)))
       .service(at("/stats/live",           "GET").route(web::get().to(stats::live)))
       .service(at("/healthz",              SHOWS).route(get(health::alive)))
       .service(at("/readyz",               SHOWS).route(get(health::ready)))
       .service(at("/metrics",              SHOWS).route(get(health::metrics)))
       .service(at("/openapi.json",         SHOWS).route(get(openapi::show)))
       .service(at("/favicon.ico",          SHOWS).route(get(statics::favicon)))
       .service(at("/static/{name}",        SHOWS).route(get(statics::show)))
       .default_service(web::to(no_page));
}

/// An address, and the methods it answers.
fn at(path: &str, allowed: &'static str) -> Resource {
    let refuse = move || async move { Err::<String, _>(Error::NoMethod(allowed)) };
    web::resource(path).default_service(web::to(refuse))
}

/// GET, and HEAD with the same headers and no body.
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

async fn no_page() -> Result<String> {
    Err(Error::NoPage)
}
