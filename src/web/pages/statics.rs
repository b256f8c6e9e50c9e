//! `/static/{name}` — stylesheet, script and icon. actix-files handles ETag,
//! Last-Modified, conditional requests and ranges. A whole file is sent as it was
//! compressed at start, unless it has changed since.

use actix_files::NamedFile;
use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Path,
};

use crate::web::{
    assets::{self, Asset},
    compression,
    error::{Error, Result},
};

/// Returns a static file.
pub async fn show(request: HttpRequest, name: Path<String>) -> Result<HttpResponse> {
    file(assets::named(&name), &request)
}

/// Returns the icon, at the path that browsers request by default.
pub async fn favicon(request: HttpRequest) -> Result<HttpResponse> {
    file(assets::named(assets::ICON), &request)
}

fn file(asset: Option<&Asset>, request: &HttpRequest) -> Result<HttpResponse> {
    let asset = asset.ok_or(Error::NoPage)?;
    let file = NamedFile::open(&asset.path).map_err(|_| Error::NoPage)?;
    let is_unchanged = asset.is_unchanged(file.metadata());
    let freshness = match is_unchanged && asset.is_hashed(request.query_string()) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let mut response = file.disable_content_disposition().into_response(request);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(freshness));
    compression::set_vary(headers);
    Ok(match is_unchanged && compression::accepts_gzip(request) {
        true => compressed(asset, response),
        false => response,
    })
}

/// Replaces the content by the compressed one. Its ETag is weak, because the strong one
/// names the uncompressed bytes; ranges refer to those, too.
fn compressed(asset: &Asset, mut response: HttpResponse) -> HttpResponse {
    if !matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED) {
        return response;
    }
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if let Some(weak) = tag.and_then(|tag| HeaderValue::try_from(format!("W/{tag}")).ok()) {
        response.headers_mut().insert(header::ETAG, weak);
    }
    if response.status() == StatusCode::NOT_MODIFIED {
        return response;
    }
    compression::set_gzip(response.headers_mut());
    response.set_body(BoxBody::new(asset.gzip.clone()))
}
