//! Turns a view model into a response: its template, or JSON of the same.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, Responder,
    body::BoxBody,
    cookie::Cookie,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName},
    },
};
use askama::Template;
use serde::Serialize;

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
        response.insert_header((header::VARY, "Accept"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
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
    match view.render() {
        Ok(page) => response.content_type("text/html; charset=utf-8").body(page),
        Err(error) => {
            log::error!("a template failed to render: {error}");
            HttpResponse::InternalServerError().finish()
        }
    }
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

/// `1,234,567`
pub fn number(value: &u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 hit`, `2 hits`
pub fn counted(count: &u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if *count == 1 { one } else { many })
}

/// `412 µs`, `1.25 ms`, `2,003 ms`
pub fn time(us: &u64) -> String {
    match *us {
        us @ ..1_000 => format!("{us} µs"),
        us @ ..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        us @ ..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        us => format!("{} ms", number(&(us.saturating_add(500) / 1_000))),
    }
}

/// `58 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`
pub fn span(seconds: &u64) -> String {
    match *seconds {
        s @ ..60 => format!("{s} s"),
        s @ ..3_600 => format!("{} min {} s", s / 60, s % 60),
        s @ ..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// `1.4 MiB`
pub fn bytes(bytes: &u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(&1).ilog2() / 10).min(4);
    match power {
        0 => format!("{bytes} B"),
        _ => {
            format!("{:.1} {}", *bytes as f64 / 1024_f64.powi(power as i32), UNITS[power as usize])
        }
    }
}

/// `66.67 %`, or a dash while there is nothing to divide.
pub fn percent(ratio: &Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

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

    #[test]
    fn figures_read_well() {
        assert_eq!(number(&1_234_567), "1,234,567");
        assert_eq!(number(&12), "12");
        assert_eq!(counted(&1, "miss", "misses"), "1 miss");
        assert_eq!(counted(&0, "miss", "misses"), "0 misses");
        assert_eq!(time(&412), "412 µs");
        assert_eq!(time(&1_250), "1.25 ms");
        assert_eq!(time(&2_003_400), "2,003 ms");
        assert_eq!(span(&200), "3 min 20 s");
        assert_eq!(bytes(&0), "0 B");
        assert_eq!(bytes(&1_468_006), "1.4 MiB");
        assert_eq!(percent(&Some(2.0 / 3.0)), "66.67 %");
        assert_eq!(percent(&None), "–");
    }
}
