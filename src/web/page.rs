//! Turns a view model into a response: its template, or JSON of the same.

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

/// Does the whole of an act, even when the visitor leaves in the middle: a
/// handler is dropped with its connection, and what it began would stay half done.
pub async fn run_to_completion<T: 'static, E: 'static>(
    act: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, E> {
    actix_web::rt::spawn(act).await.expect("an act does not panic and is not cancelled")
}

/// A view model on its way out: HTML, or JSON where the client prefers that.
pub struct Page<T> {
    /// In a box, as a page passes through many hands.
    view: Box<T>,
    head: HttpResponse<()>,
}

impl<T: Serialize> Page<T> {
    /// A page that answers 200.
    pub fn new(view: T) -> Self {
        let mut head = HttpResponse::with_body(StatusCode::OK, ());
        head.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        head.headers_mut().append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { view: Box::new(view), head }
    }
}

impl<T> Page<T> {
    /// With another status.
    pub fn status(mut self, status: StatusCode) -> Self {
        *self.head.status_mut() = status;
        self
    }

    /// With a header, of a value that we made.
    pub fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.head.headers_mut().append(name, value);
        }
        self
    }

    /// With a cookie, if there is one to set.
    pub fn cookie(self, cookie: impl Into<Option<Cookie<'static>>>) -> Self {
        match cookie.into() {
            Some(cookie) => self.header(header::SET_COOKIE, cookie.to_string()),
            None => self,
        }
    }
}

impl<T: Template + Serialize> Page<T> {
    /// The response, in the form the request's headers ask for.
    pub fn respond(self, asked: &HeaderMap) -> HttpResponse {
        match wants_json(asked) {
            true => answer(self.head, JSON, serialized(&*self.view, CAPACITY)),
            false => answer(self.head, HTML, rendered(&*self.view)),
        }
    }
}

impl<T: Template + Serialize> Page<T> {
    /// The answer to a POST: this page for a client that wants JSON, else a
    /// redirect to `address`, where the page is found again.
    pub fn or_redirect(mut self, asked: &HeaderMap, address: &str) -> HttpResponse {
        if wants_json(asked) {
            return self.respond(asked);
        }
        *self.head.status_mut() = StatusCode::SEE_OTHER;
        self.header(header::LOCATION, address).head.map_body(|_, ()| BoxBody::new(()))
    }
}

impl<T: Template + Serialize> Responder for Page<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.respond(request.headers())
    }
}

/// A 200 that is always JSON, and short.
pub fn json(view: &impl Serialize) -> HttpResponse {
    let head = HttpResponse::with_body(StatusCode::OK, ());
    answer(head, JSON, serialized(view, SHORT))
}

fn answer(
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
            log::error!("a page can't be written: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
}

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Room for what is always short.
const SHORT: usize = 256;
/// Room for most pages. What is longer grows while it is written.
const CAPACITY: usize = 16 * 1024;
fn rendered(view: &impl Template) -> askama::Result<Bytes> {
    let mut page = String::with_capacity(CAPACITY);
    view.render_into(&mut page)?;
    Ok(page.into())
}

fn serialized(view: &impl Serialize, room: usize) -> askama::Result<Bytes> {
    let mut page = Vec::with_capacity(room);
    serde_json::to_writer(&mut page, view).map_err(askama::Error::custom)?;
    Ok(page.into())
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

/// The rest of the head after the title, and the navigation. `here` is marked in
/// it, or the page that it is below.
pub fn top(here: &str) -> &'static str {
    let is_below = |path| here.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let of_page = TOPS.iter().find(|(path, _)| *path == here);
    let above = || TOPS.iter().find(|(path, _)| is_below(path));
    of_page.or_else(above).or(TOPS.last()).map_or("", |(_, top)| top)
}

impl FastWritable for UserId {
    fn write_into(&self, page: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(page.write_str(self.as_str())?)
    }
}

/// Letters, digits, `-` and `_` have nothing to escape.
impl HtmlSafe for UserId {}

/// Whether `Accept` ranks JSON above HTML (RFC 9110, 12.5.1). Anything else,
/// or nothing at all, gets HTML.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT) else { return false };
    if accept == JSON {
        return true;
    }
    // Who names JSON has a j in it, and hardly any browser does: what follows takes longer.
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

/// The value of a cookie of ours, where the request has it. Ours hold no
/// character that would be encoded.
pub fn cookie_of<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let lines = request.headers().get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
    pairs.filter_map(|pair| pair.split_once('=')).find(|(it, _)| *it == name).map(|(_, it)| it)
}

/// Sends the browser to look at the result of what it just did.
pub fn see_other(path: &str) -> HttpResponseBuilder {
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

/// What ends the line of such a cookie in `Set-Cookie`, before its path.
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
