//! `/static/{name}` — stylesheet, script and icon.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header as _, IfNoneMatch},
    web::Path,
};

use crate::web::{
    assets::{self, Asset},
    error::{Error, Result},
};

/// The file of this name.
pub async fn show(request: HttpRequest, name: Path<String>) -> Result<HttpResponse> {
    let asset = assets::named(&name).ok_or(Error::NoPage)?;
    Ok(file(asset, &request))
}

/// Where browsers look for an icon by themselves.
pub async fn favicon(request: HttpRequest) -> HttpResponse {
    file(&assets::ICON, &request)
}

fn file(asset: &'static Asset, request: &HttpRequest) -> HttpResponse {
    let tag = EntityTag::new_weak(asset.hash.clone());
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, freshness(asset, request)));
    response.insert_header(ETag(tag));
    match known {
        true => response.finish(),
        false => response.content_type(asset.media_type).body(asset.body),
    }
}

/// An address with the content's hash never changes its content.
fn freshness(asset: &Asset, request: &HttpRequest) -> &'static str {
    let hashed = request.query_string().strip_prefix("v=") == Some(asset.hash.as_str());
    if hashed { "public, max-age=31536000, immutable" } else { "no-cache" }
}
