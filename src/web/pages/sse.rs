//! Server-sent events, as the HTML standard has them.

use std::convert::Infallible;

use actix_web::{HttpResponse, http::header, web::Bytes};
use futures_util::Stream;

use crate::web::error::Result;

/// A stream of events as a response.
pub fn answer(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compression would hold events back.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(events)
}

/// One event.
pub fn event(text: &str) -> Bytes {
    let lines = text.lines().flat_map(|line| ["data: ", line, "\n"]);
    lines.chain(["\n"]).collect::<String>().into()
}

/// What nobody reads, but whoever has left is noticed by it.
pub fn pulse() -> Bytes {
    Bytes::from_static(b":\n\n")
}
