//! Turns a view model into a response: HTML by its template, or JSON.

use std::{fmt, sync::LazyLock};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, Responder,
    body::BoxBody,
    cookie::Cookie,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::Bytes,
};
use askama::{FastWritable, Template, Values, filters::HtmlSafe};
use serde::Serialize;

use crate::{demo::model::UserId, web::nav};

/// `Cache-Status` (RFC 9211).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Runs a state-changing action to completion, even if the client disconnects. Otherwise
/// the action would be dropped with its handler and could remain half done.
pub async fn run_to_completion<T: 'static, E: 'static>(
    action: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E> {
    actix_web::rt::spawn(action).await.expect("an action does not panic and is not cancelled")
}

/// A response made of a view model: HTML, or JSON if the client prefers it.
pub struct Page<T> {
    /// Boxed, because a page is moved often.
    view: Box<T>,
    head: HttpResponse<()>,
    /// Where HTML clients are redirected to.
    location: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// A page with status 200.
    pub fn new(view: T) -> Self {
        let mut head = HttpResponse::with_body(StatusCode::OK, ());
        head.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        head.headers_mut().append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { view: Box::new(view), head, location: None }
    }
}

impl<T> Page<T> {
    /// Sets the status.
    pub fn status(mut self, status: StatusCode) -> Self {
        *self.head.status_mut() = status;
        self
    }

    /// Adds a header. An invalid value is ignored.
    pub fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.head.headers_mut().append(name, value);
        }
        self
    }

    /// Sets a cookie, if there is one.
    pub fn cookie(self, cookie: impl Into<Option<Cookie<'static>>>) -> Self {
        match cookie.into() {
            Some(cookie) => self.header(header::SET_COOKIE, cookie.to_string()),
            None => self,
        }
    }

    /// Redirects HTML clients to the URL of this page, after a POST.
    pub fn or_redirect(self, url: impl Into<String>) -> Self {
        Self { location: Some(url.into()), ..self }
    }
}

impl<T: Template + Serialize> Page<T> {
    /// The response, as HTML or JSON by the request's headers.
    pub fn respond(self, headers: &HeaderMap) -> HttpResponse {
        match (wants_json(headers), &self.location) {
            (true, _) => response(self.head, JSON, serialized(&*self.view)),
            (false, None) => response(self.head, HTML, rendered(&*self.view)),
            (false, Some(_)) => self.redirect(),
        }
    }

    fn redirect(mut self) -> HttpResponse {
        let url = self.location.take().unwrap_or_default();
        let page = self.status(StatusCode::SEE_OTHER).header(header::LOCATION, url);
        page.head.map_body(|_, ()| BoxBody::new(()))
    }
}

impl<T: Template + Serialize> Responder for Page<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.respond(request.headers())
    }
}

/// A short response with status 200 that is always JSON.
pub fn json(view: &impl Serialize) -> HttpResponse {
    let head = HttpResponse::with_body(StatusCode::OK, ());
    response(head, JSON, serialized(view))
}

fn response(
    mut head: HttpResponse<()>,
    media_type: HeaderValue,
    written: askama::Result<Bytes>,
) -> HttpResponse {
    match written {
        Ok(page) => {
            head.headers_mut().append(header::CONTENT_TYPE, media_type);
            head.set_body(BoxBody::new(page))
        }
        Err(error) => {
            log::error!("A page can't be rendered: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Media type of every JSON response.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Initial capacity of JSON, in bytes: enough for a lookup. From 1 KiB on, glibc's malloc
/// first merges all free chunks.
const JSON_CAPACITY: usize = 1_000;
/// Initial capacity of HTML, in bytes, sufficient for most pages.
const HTML_CAPACITY: usize = 16 * 1024;

fn rendered(view: &impl Template) -> askama::Result<Bytes> {
    let mut page = String::with_capacity(HTML_CAPACITY);
    view.render_into(&mut page)?;
    Ok(page.into())
}

fn serialized(view: &impl Serialize) -> askama::Result<Bytes> {
    let mut page = Vec::with_capacity(JSON_CAPACITY);
    serde_json::to_writer(&mut page, view).map_err(askama::Error::custom)?;
    Ok(page.into())
}

/// The header of a page. It depends only on the path, so it is rendered once.
#[derive(Template)]
#[template(path = "header.html")]
struct Header {
    here: &'static str,
}

static HEADERS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let paths = nav::ALL.iter().map(|link| link.path);
    let header = |here| Header { here }.render().expect("constants render");
    // The empty path stands for pages outside the navigation.
    paths.chain([""]).map(|path| (path, header(path))).collect()
});

/// HTML from after the title to the end of the navigation. The entry of the path `here`, or
/// of its parent, is marked as current.
pub fn header_html(here: &str) -> &'static str {
    let is_below = |path| here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let of_page = HEADERS.iter().find(|(path, _)| *path == here);
    let of_parent = || HEADERS.iter().find(|(path, _)| is_below(path));
    of_page.or_else(of_parent).or(HEADERS.last()).map_or("", |(_, header)| header)
}

impl FastWritable for UserId {
    fn write_into(&self, page: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(page.write_str(self.as_str())?)
    }
}

/// Ids consist of letters, digits, `-` and `_`, which need no escaping.
impl HtmlSafe for UserId {}

/// Whether `Accept` ranks JSON above HTML (RFC 9110, section 12.5.1). The default is HTML.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT) else { return false };
    if accept == JSON {
        return true;
    }
    // Fast path: the header of most browsers contains no `j`, so it can't name JSON.
    if !accept.as_bytes().contains(&b'j') && !accept.as_bytes().contains(&b'J') {
        return false;
    }
    let Ok(accept) = accept.to_str() else { return false };
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

/// The value of one of hitrate's cookies. Their values need no decoding.
pub fn cookie_of<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
    pairs.filter_map(|pair| pair.split_once('=')).find(|(it, _)| *it == name).map(|(_, it)| it)
}

/// Redirects to the page that shows the result of a POST.
pub fn see_other(path: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, path));
    response
}

/// A cookie with `HttpOnly` and `SameSite=Lax`.
pub fn cookie(name: &'static str, value: String, path: &'static str) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .same_site(actix_web::cookie::SameSite::Lax)
        .finish()
}

/// End of such a cookie in `Set-Cookie`, before the path.
pub const COOKIE_ENDS: &str = "; HttpOnly; SameSite=Lax; Path=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_written_in_one_way() {
        let line = cookie("name", "a.b-c_d~1".to_owned(), "/path").to_string();
        assert_eq!(["name=a.b-c_d~1", COOKIE_ENDS, "/path"].concat(), line);
    }

    fn asks(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        wants_json(&headers)
    }

    #[test]
    fn json_is_given_where_it_ranks_first() {
        assert!(asks("application/json"));
        assert!(asks("text/html;q=0.5, application/json"));
        assert!(asks("application/JSON"));
        assert!(!asks("text/html, application/json"));
        assert!(!asks("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!asks("*/*"));
        assert!(!wants_json(&HeaderMap::new()));
    }
}
