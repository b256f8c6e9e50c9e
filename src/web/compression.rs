//! Compression: of large pages when they leave, of static files once, at the start.
//!
//! A page that fits in the first flight of a connection is sent as it is: it
//! arrives in one round trip either way, and to compress it takes several times
//! as long as to make it. Most pages are that small. Larger ones are compressed
//! fast rather than well, and by gzip alone, which needs little memory and gives
//! it back at once.

use std::io::Write as _;

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::{BodySize, BoxBody, MessageBody as _},
    dev::ServiceResponse,
    http::header::{self, AcceptEncoding, Encoding, HeaderMap, HeaderValue},
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};

/// The largest body that is sent as it is, in bytes: what a new connection carries
/// before the first acknowledgement, ten segments (RFC 6928), less 1 KiB for the head.
const FIRST_FLIGHT: u64 = 10 * 1_460 - 1_024;

/// The response, compressed where it is large and the client reads gzip. A stream
/// goes as it comes.
pub fn compressed(response: ServiceResponse) -> ServiceResponse {
    match response.response().body().size() {
        BodySize::Sized(size) if size > FIRST_FLIGHT => large(response),
        _ => response,
    }
}

fn large(response: ServiceResponse) -> ServiceResponse {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let is_read = reads_gzip(response.request());
    response.map_body(|head, body| match body.try_into_bytes() {
        Err(stream) => stream,
        Ok(page) => {
            varies(head.headers_mut());
            if !is_read {
                return BoxBody::new(page);
            }
            is_gzip(head.headers_mut());
            BoxBody::new(gzip(&page, Compression::fast()))
        }
    })
}

/// Whether the client prefers gzip to what is not compressed (RFC 9110, 12.5.3).
pub fn reads_gzip(request: &HttpRequest) -> bool {
    let asked = request.get_header::<AcceptEncoding>();
    let ours = [Encoding::gzip(), Encoding::identity()];
    asked.and_then(|it| it.negotiate(ours.iter())).is_some_and(|best| best == Encoding::gzip())
}

/// Says that another `Accept-Encoding` may be answered with other bytes.
pub fn varies(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Says that the body is compressed.
pub fn is_gzip(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// The same, compressed.
pub fn gzip(content: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(content.len() / 2), level);
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.expect("memory takes what is written to it").into()
}
