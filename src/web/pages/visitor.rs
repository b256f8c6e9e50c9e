//! Identifies a visitor by a cookie, which determines the keys of their demos.

use actix_web::{HttpRequest, cookie::Cookie};

use crate::{labs::support::visitor_keys::VisitorId, token::Token, web::page};

const COOKIE: &str = "hitrate_visitor";

/// The visitor of a request. For a new visitor also returns a cookie, which must be sent
/// with the first response that depends on stored keys.
pub fn of(request: &HttpRequest) -> (VisitorId, Option<Cookie<'static>>) {
    let known = request.cookie(COOKIE).and_then(|cookie| Token::parse(cookie.value()));
    match known {
        Some(token) => (VisitorId::of(&token), None),
        None => {
            let token = Token::random();
            (VisitorId::of(&token), Some(page::cookie(COOKIE, token.reveal(), "/")))
        }
    }
}
