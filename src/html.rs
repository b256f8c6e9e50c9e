//! Turns a view model into a response: its template, or JSON of the same.

use std::{cell::RefCell, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, Responder,
    body::BoxBody,
    cookie::Cookie,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::{Bytes, BytesMut},
};
use askama::Template;
use serde::Serialize;

use crate::nav;

/// `Cache-Status` (RFC 9211).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Does the whole of an act, even when the visitor leaves in the middle: a
/// handler is dropped with its connection, and what it began would stay half done.
pub async fn whole<T: 'static, E: 'static>(
    act: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E> {
    actix_web::rt::spawn(act).await.expect("an act does not panic and is not cancelled")
}

/// A view model on its way out: HTML, or JSON where the client prefers that.
pub struct Page<T> {
    view: T,
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    cookies: Vec<Cookie<'static>>,
}

impl<T> Page<T> {
    /// A page that answers 200.
    pub fn new(view: T) -> Self {
        Self { view, status: StatusCode::OK, headers: Vec::new(), cookies: Vec::new() }
    }

    /// With another status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With a header.
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a cookie.
    pub fn cookie(mut self, cookie: Cookie<'static>) -> Self {
        self.cookies.push(cookie);
        self
    }
}

impl<T: Template + Serialize> Page<T> {
    /// The response, in the form the request's headers ask for.
    pub fn respond(self, asked: &HeaderMap) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in self.headers {
            response.insert_header((name, value));
        }
        for cookie in self.cookies {
            response.cookie(cookie);
        }
        response.insert_header((header::VARY, HeaderValue::from_static("Accept")));
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        match wants_json(asked) {
            true => json(response, &self.view),
            false => html(response, &self.view),
        }
    }
}

impl<T: Template + Serialize> Responder for Page<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.respond(request.headers())
    }
}

fn json(mut response: HttpResponseBuilder, view: &impl Serialize) -> HttpResponse {
    response.json(view)
}

fn html(mut response: HttpResponseBuilder, view: &impl Template) -> HttpResponse {
    match rendered(view) {
        Ok(page) => response.insert_header((header::CONTENT_TYPE, HTML)).body(page),
        Err(error) => {
            log::error!("a template failed to render: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Room for several pages, so that memory is not asked for at each.
const ROOM: usize = 64 * 1024;
/// Larger than most pages: one that does not fit is moved while it grows.
const PAGE: usize = 16 * 1024;

thread_local! {
    /// Pages of this worker are written behind each other. When there is no
    /// room for another and the last ones are sent, it is used from the start.
    static PAGES: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(ROOM));
}

fn rendered(view: &impl Template) -> askama::Result<Bytes> {
    let mut page = PAGES.take();
    page.reserve(if page.capacity() < PAGE { ROOM } else { 0 });
    let outcome = view.render_into(&mut page);
    let written = page.split().freeze();
    PAGES.set(page);
    outcome.map(|()| written)
}

/// What stands above every page: the same at each visit, so it is rendered once.
#[derive(Template)]
#[template(path = "top.html")]
struct Top {
    here: &'static str,
}

static TOPS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let paths = nav::ALL.iter().map(|link| link.path);
    let top = |here| Top { here }.render().expect("constants render");
    // The empty path is that of a page which is not in the navigation.
    paths.chain([""]).map(|path| (path, top(path))).collect()
});

/// The rest of the head after the title, and the navigation; `here` is marked in it.
pub fn top(here: &str) -> &'static str {
    let of_page = TOPS.iter().find(|(path, _)| *path == here);
    of_page.or(TOPS.last()).map_or("", |(_, top)| top)
}

/// Whether `Accept` ranks JSON above HTML (RFC 9110, 12.5.1). Anything else,
/// or nothing at all, gets HTML.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let Some(accept) = accept.filter(|accept| accept.contains("json")) else { return false };
    let rank = |wanted: &str| {
        accept
            .split(',')
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next()?;
                let q = parts.find_map(|part| part.strip_prefix("q="));
                let q: f32 = q.map_or(1.0, |q| q.parse().unwrap_or_default());
                media.eq_ignore_ascii_case(wanted).then_some(q)
            })
            .fold(0.0_f32, f32::max)
    };
    rank("application/json") > rank("text/html")
}

/// Sends the browser to look at the result of what it just did.
pub fn see(path: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, path));
    response
}

/// A cookie that no script reads and no other site sends along.
pub fn cookie(name: &'static str, value: String, path: &'static str) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .same_site(actix_web::cookie::SameSite::Lax)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        wants_json(&headers)
    }

    #[test]
    fn json_is_given_where_it_ranks_first() {
        assert!(asks("application/json"));
        assert!(asks("text/html;q=0.5, application/json"));
        assert!(!asks("text/html, application/json"));
        assert!(!asks("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!asks("*/*"));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
