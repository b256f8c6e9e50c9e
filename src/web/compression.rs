//! Compression of large responses. Static files and the OpenAPI document are compressed once.
//!
//! A page that fits into the initial window of a connection is sent uncompressed: it
//! arrives in one round trip either way, and compressing it takes several times as long as
//! rendering it. Most pages are that small. Larger ones are compressed with gzip at its
//! fastest level, which needs little memory.

use std::io::Write as _;

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::{BodySize, BoxBody, MessageBody as _},
    dev::ServiceResponse,
    http::header::{self, AcceptEncoding, Encoding, HeaderMap, HeaderValue},
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};

/// Size of the largest body that is sent uncompressed, in bytes: the initial window of a
/// connection, ten segments (RFC 6928), less 1 KiB for the head.
const INITIAL_WINDOW: u64 = 10 * 1_460 - 1_024;

/// Compresses a large response if the client accepts gzip. Streams are left alone.
pub fn compressed(response: ServiceResponse) -> ServiceResponse {
    match response.response().body().size() {
        BodySize::Sized(size) if size > INITIAL_WINDOW => large(response),
        _ => response,
    }
}

fn large(response: ServiceResponse) -> ServiceResponse {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let is_accepted = accepts_gzip(response.request());
    response.map_body(|head, body| match body.try_into_bytes() {
        Err(stream) => stream,
        Ok(page) => {
            set_vary(head.headers_mut());
            if !is_accepted {
                return BoxBody::new(page);
            }
            set_gzip(head.headers_mut());
            BoxBody::new(gzip(&page, Compression::fast()))
        }
    })
}

/// Whether the client prefers gzip to an uncompressed body (RFC 9110, 12.5.3).
pub fn accepts_gzip(request: &HttpRequest) -> bool {
    let asked = request.get_header::<AcceptEncoding>();
    let ours = [Encoding::gzip(), Encoding::identity()];
    asked.and_then(|it| it.negotiate(ours.iter())).is_some_and(|best| best == Encoding::gzip())
}

/// Adds `Vary: Accept-Encoding`.
pub fn set_vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Sets `Content-Encoding: gzip`.
pub fn set_gzip(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// Compresses `content`.
pub fn gzip(content: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 2), level);
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail").into()
}
