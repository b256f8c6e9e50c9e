//! `/static/{name}` — stylesheet, script and icon. actix-files handles ETag,
//! Last-Modified, conditional requests and ranges.

use actix_files::NamedFile;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::Path,
};

use crate::web::{
    assets::{self, Asset},
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
    let mut response = file.disable_content_disposition().into_response(request);
    response.headers_mut().insert(header::CACHE_CONTROL, freshness(asset, request));
    Ok(response)
}

fn freshness(asset: &Asset, request: &HttpRequest) -> HeaderValue {
    HeaderValue::from_static(match asset.is_hashed(request.query_string()) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    })
}
