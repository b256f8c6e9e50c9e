//! Checks and headers that apply to every request and response, whatever the page.
//!
//! Two things are out of reach: responses that actix-http sends by itself (to a URL over
//! 64 KiB or a malformed head) have an empty body and none of these headers; and actix has
//! no timeout for a head that arrives slowly on a kept-alive connection.

use std::net::IpAddr;

use actix_web::{
    Error as ActixError,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::{
        ConnectionType,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::Data,
};
use futures_util::{
    TryFutureExt as _,
    future::{Either, MapOk, Ready, ready},
};

use crate::web::{
    compression::compressed,
    error::Error,
    form::{BODY_MAX, BadInput},
    page::JSON,
    state::WorkerState,
};

/// Allows hitrate's own scripts, styles and forms only, and nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Headers of every response, errors included.
static HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN),
];
/// Headers of every response but JSON, which has no scripts, frames, forms or links. The
/// referrer policy is `same-origin`: with `no-referrer`, a browser sends `Origin: null` for
/// hitrate's own forms.
static DOCUMENT_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, SAME_ORIGIN),
    (HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN),
];
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Rejects invalid requests, renders errors, compresses large pages and adds the headers.
pub struct Middleware;

/// The service that [`Middleware`] makes of the pages.
pub struct MiddlewareService<S> {
    pages: S,
}

impl<S: Pages> Transform<S, ServiceRequest> for Middleware {
    type Response = ServiceResponse;
    type Error = ActixError;
    type Transform = MiddlewareService<S>;
    type InitError = ();
    type Future = Ready<Result<MiddlewareService<S>, ()>>;

    fn new_transform(&self, pages: S) -> Self::Future {
        ready(Ok(MiddlewareService { pages }))
    }
}

/// The service behind the middleware.
pub trait Pages:
    Service<ServiceRequest, Response = ServiceResponse, Error = ActixError, Future: 'static> + 'static
{
}

impl<S> Pages for S where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = ActixError, Future: 'static>
        + 'static
{
}

/// The last step of a response.
type Finish = fn(ServiceResponse) -> ServiceResponse;
type Outcome = Result<ServiceResponse, ActixError>;

/// Always returns `Ok`: actix turns the error of a handler or an extractor into a response,
/// and only the middleware of a single route could fail here.
impl<S: Pages> Service<ServiceRequest> for MiddlewareService<S> {
    type Response = ServiceResponse;
    type Error = ActixError;
    type Future = Either<MapOk<S::Future, Finish>, Ready<Outcome>>;

    forward_ready!(pages);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let finish: Finish = if request.method().is_safe() { shown } else { changed };
        if let Some(error) = refused(&request) {
            let answer = error.respond(request.headers());
            let answer = finish(request.into_response(answer));
            return Either::Right(ready(Ok(answer)));
        }
        Either::Left(self.pages.call(request).map_ok(finish))
    }
}

fn shown(response: ServiceResponse) -> ServiceResponse {
    let mut response = compressed(rendered(response));
    let headers = response.headers_mut();
    let is_json = headers.get(header::CONTENT_TYPE) == Some(&JSON);
    let of_documents: &[_] = if is_json { &[] } else { &DOCUMENT_HEADERS };
    // No page names one of these itself, and to replace costs twice as much.
    for (name, value) in HEADERS.iter().chain(of_documents) {
        headers.append(name.clone(), value.clone());
    }
    response
}

fn changed(response: ServiceResponse) -> ServiceResponse {
    let mut response = shown(response);
    if response.status().as_u16() >= 400 {
        // The rest of a body that nobody reads would keep the connection busy.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

fn refused(request: &ServiceRequest) -> Option<Error> {
    let app = request.app_data::<Data<WorkerState>>().expect("every server is given an app");
    let headers = request.headers();
    let is_ours = request.uri().host().is_none_or(is_loopback) && names_loopback(headers);
    if app.shared.config.bind.ip().is_loopback() && !is_ours {
        return Some(Error::OtherHost);
    }
    if !request.method().is_safe() && !is_own_origin(headers) {
        return Some(Error::OtherSite);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let too_large =
        length.is_some_and(|length| length.parse().is_ok_and(|n: u64| n > BODY_MAX as u64));
    too_large.then_some(Error::Input(BadInput::TooLarge))
}

/// Whether `Host` is a name of this machine that no foreign DNS can point
/// here (DNS rebinding).
fn names_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    host.to_str().is_ok_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => (name, port),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    is_loopback(name) && is_port(port)
}

fn is_loopback(name: &str) -> bool {
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether a request that changes something comes from our own page, or from
/// no page at all. Browsers say where it comes from and scripts can't forge it
/// (Fetch Metadata, and the Origin header of RFC 6454).
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = text("origin") else { return true };
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some() && host == text("host")
}

/// Turns what a handler's error became into its page.
fn rendered(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    if status.as_u16() < 400 {
        return response;
    }
    let error = match response.response().error() {
        Some(error) => told(error),
        None if !response.headers().contains_key(header::CONTENT_TYPE) => Error::Refused(status),
        None => return response,
    };
    let answer = error.respond(response.request().headers());
    response.into_response(answer)
}

/// Our own error again, out of actix's box.
fn told(error: &ActixError) -> Error {
    if let Some(input) = error.as_error::<BadInput>() {
        return Error::Input(input.clone());
    }
    match error.as_error::<Error>() {
        Some(error) => error.clone(),
        None => Error::Refused(error.as_response_error().status_code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for good in [
            "localhost",
            "localhost:5000",
            "LOCALHOST:1",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(names_loopback(&headers(&[("host", good)])), "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example",
            "localhost:5000@evil",
            "localhost:x",
            "[::1]x",
            "[::2]",
            "10.0.0.1",
            "",
        ] {
            assert!(!names_loopback(&headers(&[("host", bad)])), "{bad}");
        }
        assert!(!names_loopback(&headers(&[])));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert!(!names_loopback(&headers(&twice)));
    }

    #[test]
    fn another_site_changes_nothing() {
        let host = ("host", "localhost:5000");
        assert!(is_own_origin(&headers(&[host])));
        assert!(is_own_origin(&headers(&[host, ("origin", "http://localhost:5000")])));
        assert!(is_own_origin(&headers(&[host, ("sec-fetch-site", "same-origin")])));
        for bad in ["http://evil.example", "null", "http://localhost:5001", "localhost:5000"] {
            assert!(!is_own_origin(&headers(&[host, ("origin", bad)])), "{bad}");
        }
        for bad in ["cross-site", "same-site"] {
            assert!(!is_own_origin(&headers(&[host, ("sec-fetch-site", bad)])), "{bad}");
        }
    }
}
