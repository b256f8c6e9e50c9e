//! Server-sent events, as specified by the HTML standard.

use std::convert::Infallible;

use actix_web::{HttpResponse, http::header, web::Bytes};
use futures_util::Stream;

use crate::web::error::Result;

/// A response that streams events.
pub fn response(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compression would delay events.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(events)
}

/// An event with this text as data.
pub fn event(text: &str) -> Bytes {
    let lines = text.lines().flat_map(|line| ["data: ", line, "\n"]);
    lines.chain(["\n"]).collect::<String>().into()
}

/// A comment, which clients ignore; the write fails if the client has disconnected.
pub fn keep_alive() -> Bytes {
    Bytes::from_static(b":\n\n")
}
